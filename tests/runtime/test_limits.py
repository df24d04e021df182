"""The model runs where the kernel allows it no more memory."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from semilla.evaluation.runtime_loss import measure_loss
from semilla.runtime import limits
from semilla.runtime.bundle import read_bundle
from semilla.runtime.session import Model

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")


def test_a_small_model_runs_in_128_mb(run_dir: Path) -> None:
    """The kernel enforces the limit, and the result says by what means."""
    found = limits.find_limit(run_dir)
    assert found["limit_mb"] == 128
    assert found["limited_by"] in {"cgroup v1", "cgroup v2", "RLIMIT_DATA"}


def list_groups() -> set[Path]:
    """Control groups made by limits; a run that was killed elsewhere may have left one."""
    return {
        group
        for mount, controller, _ in limits.HIERARCHIES.values()
        for group in limits._find_place(mount, controller).glob("semilla-*")
    }


@pytest.mark.parametrize("is_grouped", [True, False])
def test_a_limit_too_small_is_really_enforced(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, *, is_grouped: bool
) -> None:
    """In 16 MB nothing runs, whatever enforces it; no group is left behind."""
    if not is_grouped:
        monkeypatch.setattr(limits, "HIERARCHIES", {})
    before = list_groups()
    found = limits.find_limit(run_dir, limits_mb=[16])
    assert found["limit_mb"] is None
    assert is_grouped or found["limited_by"] == "RLIMIT_DATA"
    assert list_groups() <= before


def test_larger_limits_are_tried_in_turn(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that suffices is the answer."""
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


def test_the_loss_of_a_bundle_is_that_of_its_scores(model: Model, run_dir: Path) -> None:
    """Over windows of any length, the mean of minus the logarithm of each target's share."""
    import numpy as np

    random = np.random.default_rng(0)
    windows = [
        random.integers(3, read_bundle(run_dir).model["vocab_size"], (2, length)) for length in (32, 5, 1)
    ]
    nats = []
    for inputs, targets in windows:
        scores = model.score(inputs).astype(np.float64)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        nats += [-np.log(row[target]) for row, target in zip(shares, targets, strict=True)]
    assert measure_loss(model, [(one[0], one[1]) for one in windows]) == pytest.approx(
        np.mean(nats), abs=1e-5
    )
