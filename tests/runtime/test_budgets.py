"""The budgets are measured on the bundle that ships, in a fresh process."""

from __future__ import annotations

import signal
import subprocess
import sys
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from semilla.errors import (
    IntegrityError,
    InvalidConfigError,
    KilledError,
    OutOfMemoryError,
    ValidationFailureError,
)
from semilla.runtime import budgets, child
from semilla.system import footprint
from semilla.system.endings import read_marks


@pytest.fixture(scope="module")
def metrics(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Measured once, from a directory that tries to take over the import of json."""
    trap = tmp_path_factory.mktemp("trap")
    (trap / "json.py").write_text("raise SystemExit('imported from the current directory')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trap)
        return budgets.measure_in_child(run_dir)


def test_every_figure_is_there_and_hangs_together(metrics: dict[str, Any]) -> None:
    """Whole numbers are rounded up from the exact ones, percentiles ascend, the context is the model's."""
    assert metrics["rss_mb"] == ceil(metrics["exact_rss_mb"])
    assert metrics["peak_mb"] == ceil(metrics["exact_peak_mb"])
    assert metrics["latency_p95_ms"] == ceil(metrics["latency_p95_us"] / 1000)
    assert 0 < metrics["latency_p50_us"] <= metrics["latency_p95_us"] <= metrics["latency_p99_us"]
    assert metrics["num_samples"] >= 1000
    assert metrics["context_tokens"] == 32
    assert metrics["tokens_per_sec"] > 0
    assert metrics["first_token_ms"] > 0


def test_memory_is_that_of_a_process_with_the_runtime(metrics: dict[str, Any]) -> None:
    """A tiny model costs what Python, NumPy and ONNX Runtime cost: tens of megabytes, and far below the budget."""
    assert 20 < metrics["exact_rss_mb"] <= metrics["exact_peak_mb"] < 200
    assert metrics["within_budgets"] is True


@pytest.mark.parametrize(("share", "expected"), [(0.5, 10), (0.95, 19), (0.99, 20), (1.0, 20)])
def test_percentiles_are_measured_values(share: float, expected: int) -> None:
    """Nearest rank: of 1 to 20, the 95th percentile is 19."""
    assert budgets.pick_percentile(list(range(1, 21)), share) == expected


def test_steps_are_timed_at_the_end_of_a_full_context(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every timed step reads one token at the last position, after the warm-up."""
    from semilla.runtime.context import Context
    from semilla.runtime.session import load

    steps: list[int] = []
    advance = Context.advance

    def record(context: Context) -> int:
        steps.append(len(context.token_ids))
        return advance(context)

    model = load(run_dir)
    monkeypatch.setattr(Context, "advance", record)
    assert len(budgets.measure_steps(model, num_samples=50)) == 50
    assert steps[-70:] == [31] * 70


def test_errors_of_the_child_are_raised_as_they_are(tmp_path: Path) -> None:
    """The child reports a missing bundle as a configuration error, a damaged one as an integrity error."""
    with pytest.raises(InvalidConfigError, match="no folder"):
        budgets.measure_in_child(tmp_path / "nowhere")
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(IntegrityError, match="not readable JSON"):
        budgets.measure_in_child(tmp_path)


def test_a_child_that_takes_too_long_is_stopped(run_dir: Path) -> None:
    """The measurement never hangs: after the timeout all budgets count as missed."""
    with pytest.raises(ValidationFailureError, match="took over") as caught:
        budgets.measure_in_child(run_dir, timeout_s=0.01)
    assert caught.value.missed == ("rss_mb", "peak_mb", "latency_p95_ms")


@pytest.mark.parametrize(
    ("code", "stderr", "kind", "message"),
    [
        (-signal.SIGKILL, b"", KilledError, "killed by SIGKILL"),
        (1, b"Traceback\nMemoryError: 3 GiB", OutOfMemoryError, "memory ran out"),
        (-signal.SIGSEGV, b"", KilledError, "killed by SIGSEGV"),
        (1, b"one\ntwo\nKeyError: \xff", ValidationFailureError, "one | two | KeyError"),
    ],
)
def test_a_child_that_dies_is_explained(
    code: int, stderr: bytes, kind: type[Exception], message: str
) -> None:
    """A kill is called that; any other failure is reported with the child's last lines."""
    error = budgets.explain_failure(subprocess.CompletedProcess([], code, b"", stderr), read_marks())
    assert type(error) is kind
    assert message in str(error)


def test_memory_is_named_when_the_kernel_counted_a_kill() -> None:
    """The same end means out of memory if the kernel's count of OOM kills has grown since the child started."""
    marks = {**read_marks(), "oom_kills": -1}
    error = budgets.explain_failure(subprocess.CompletedProcess([], -signal.SIGKILL, b"", b""), marks)
    assert type(error) is OutOfMemoryError


def test_the_child_starts_without_the_allocator_of_the_training(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that change memory allocation are not passed on; others are."""
    environments: list[dict[str, str]] = []

    def pretend(*_: object, environment: dict[str, str], **__: object) -> subprocess.CompletedProcess[bytes]:
        environments.append(environment)
        return subprocess.CompletedProcess([], 0, b"{}", b"")

    monkeypatch.setattr(child, "run_module", pretend)
    for name in ("MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD", "GLIBC_TUNABLES", "SEMILLA_TEST"):
        monkeypatch.setenv(name, "1")
    budgets.measure_in_child(run_dir)
    assert {"MALLOC_TRIM_THRESHOLD_", "LD_PRELOAD", "GLIBC_TUNABLES"}.isdisjoint(environments[0])
    assert environments[0]["SEMILLA_TEST"] == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="compares with /proc")
def test_memory_without_proc_agrees_with_proc() -> None:
    """The figures of psutil and getrusage are within a few megabytes of the kernel's own."""
    held = bytearray(b"x" * (32 * 2**20))
    rss_mb, peak_mb = budgets.read_memory_mb()
    other_rss_mb, other_peak_mb = footprint._ask_psutil()
    assert rss_mb > len(held) / 2**20
    assert abs(other_rss_mb - rss_mb) < 16
    assert peak_mb >= rss_mb - 1
    assert other_peak_mb >= other_rss_mb
