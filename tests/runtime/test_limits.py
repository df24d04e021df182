"""The model runs under a memory limit that the kernel enforces."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from semilla.runtime import limits
from semilla.system import memory_limit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces these limits")


def test_a_small_model_runs_in_128_mb(run_dir: Path) -> None:
    """The kernel enforces the limit, and the result says through what."""
    found = limits.find_limit(run_dir)
    assert found["limit_mb"] == 128
    assert found["limited_by"] in {"cgroup v1", "cgroup v2", "RLIMIT_DATA"}


def list_groups() -> set[Path]:
    """Control groups made for limits; a run killed elsewhere may have left one."""
    return {
        group
        for mount, controller, _ in memory_limit.HIERARCHIES.values()
        for group in memory_limit.find_own_group(mount, controller).glob("semilla-*")
    }


@pytest.mark.parametrize("is_grouped", [True, False])
def test_a_limit_too_small_is_really_enforced(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, *, is_grouped: bool
) -> None:
    """In 16 MB nothing runs, under either mechanism; no group is left behind."""
    if not is_grouped:
        monkeypatch.setattr(memory_limit, "HIERARCHIES", {})
    before = list_groups()
    found = limits.find_limit(run_dir, limits_mb=[16])
    assert found["limit_mb"] is None
    assert is_grouped or found["limited_by"] == "RLIMIT_DATA"
    assert list_groups() <= before


def test_larger_limits_are_tried_in_turn(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first limit that suffices is the answer."""
    tried: list[str] = []

    def pretend(_: str, arguments: Any, **__: Any) -> subprocess.CompletedProcess[bytes]:
        tried.append(arguments[0])
        return subprocess.CompletedProcess([], 0 if arguments[0] == "256" else 1, b"", b"")

    @contextmanager
    def open_nothing(limit_mb: int) -> Any:
        yield "RLIMIT_DATA", None

    monkeypatch.setattr(limits, "run_child", pretend)
    monkeypatch.setattr(limits, "open_group", open_nothing)
    assert limits.find_limit(run_dir) == {"limit_mb": 256, "limited_by": "RLIMIT_DATA"}
    assert tried == ["128", "256"]
