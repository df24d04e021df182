"""Rows M of the fault catalogue: out of memory by exception or kernel, memory growth, and one slow core."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from small_runs import SMALL
from tiny_training import KnownPackages, On, configure, describe_end, in_child, resume, train

from semilla import cli
from semilla.errors import OutOfMemoryError
from semilla.events import EpochDone, Note, StepDone, Warned
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import prerequisite_check, validation
from semilla.prerequisites import memory
from semilla.records import names
from semilla.records.status import read_status
from semilla.system import children
from semilla.system import endings as machine
from semilla.system.endings import explain_vanishing
from semilla.training.checkpoints import checkpoint
from semilla.training.checkpoints import seal as seal_module

GROUPS = Path("/sys/fs/cgroup/memory")
NO_MEMORY = RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group limited to 900 MB; skip the test where there is none."""
    group = GROUPS / f"semilla-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(900 << 20))
    except OSError as error:
        pytest.skip(f"no control group of version 1 can be made here: {error}")
    yield group
    group.rmdir()


def test_the_kernel_kills_and_the_next_command_says_why(
    directory: Path, whole: dict[str, Any], small_group: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """M2: ``status`` and the resumed run say that memory ran out, and the result is the same."""

    def devour() -> None:
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 20) * 64))

    def act() -> None:
        (small_group / "cgroup.procs").write_text(str(os.getpid()))
        run_pipeline(configure(directory), listeners=[On(StepDone, devour, nth=20)])

    assert in_child(act) == -signal.SIGKILL
    assert cli.main(["status", str(directory)]) == 0
    reported = capsys.readouterr().out
    assert "Its process is gone: it was killed, likely because memory ran out: semilla guide oom" in reported
    assert "--resume" in reported
    listener = On(Warned, lambda: None)
    run_pipeline(configure(directory), resume=True, listeners=[listener])
    (warned,) = [event for event in listener.events if isinstance(event, Warned) and event.topic == "oom"]
    assert warned.text == "the last attempt ended unexpectedly: it was killed, likely because memory ran out"
    assert describe_end(directory) == whole


@pytest.mark.parametrize(
    ("marks", "cause", "lacked_memory"),
    [
        ({"boot_id": "a", "oom_kills": 3}, "it was killed, likely because memory ran out", True),
        ({"boot_id": "b", "oom_kills": 3}, "the machine was restarted or lost power", False),
        (
            {"boot_id": "a", "oom_kills": 4},
            "it crashed, was killed, or had no disk space left to record its end; memory did not run out",
            False,
        ),
        ({}, "it crashed, was killed, or had no disk space left to record its end", False),
    ],
)
def test_a_process_that_vanished_is_explained(
    monkeypatch: pytest.MonkeyPatch, marks: dict[str, Any], cause: str, lacked_memory: bool
) -> None:
    """M2: the kernel's OOM count and the boot id explain it."""
    monkeypatch.setattr(machine, "read_marks", lambda: {"boot_id": "a", "oom_kills": 4})
    assert explain_vanishing(marks) == (cause, lacked_memory)


def test_resuming_a_killed_run_says_so(directory: Path) -> None:
    """M2, K1: a note explains it when memory was not the cause."""
    die = On(StepDone, lambda: os.kill(os.getpid(), signal.SIGKILL), nth=2)
    assert (
        in_child(lambda: run_pipeline(configure(directory, num_epochs=1), listeners=[die])) == -signal.SIGKILL
    )
    listener = On(Note, lambda: None)
    run_pipeline(configure(directory, num_epochs=1), resume=True, listeners=[listener])
    notes = [event.text for event in listener.events if isinstance(event, Note)]
    assert any(
        note.startswith("The last attempt ended unexpectedly: it crashed, was killed") for note in notes
    )


def test_memory_that_runs_out_in_the_tokenizer_ends_its_child_alone(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """M3: ``oom``, exit 3 and a next command; this process survives, and the corpus stays."""
    popen = children.subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        limit = (120 << 20, 120 << 20)
        return popen(command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit), **options)

    for path in directory.glob("tokenizer_*"):
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(children.subprocess, "Popen", start)
        with pytest.raises(OutOfMemoryError, match="smaller vocabulary or less text") as caught:
            run_pipeline(configure(directory))
    assert caught.value.status == 3
    assert not list(directory.glob("tokenizer_*"))
    assert (directory / names.CORPUS).is_file()


@pytest.mark.parametrize("error", [MemoryError(), NO_MEMORY], ids=["MemoryError", "torch"])
def test_memory_that_runs_out_while_serialising_touches_no_file(
    directory: Path, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """M4: checkpoints are serialized in memory first, so the older ones stay; the result is the same."""

    def refuse(*arguments: object) -> None:
        raise error

    before: dict[str, bytes] = {}

    def starve() -> None:
        before.update({path.name: path.read_bytes() for path in directory.glob("*.pt")})
        monkeypatch.setattr(seal_module.torch, "save", refuse)

    with pytest.raises(OutOfMemoryError):
        train(directory, progress=On(EpochDone, starve))
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in directory.glob("*.pt")} == before
    resume(directory)
    assert describe_end(directory) == whole


def exhaust_memory() -> list[bytearray]:
    """Use up the memory this process may have; clearing the returned list frees it."""
    hoard = [bytearray()] * 2**16
    virtual_kb = int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (virtual_kb << 10, resource.RLIM_INFINITY))
    taken = 0
    for size in (1 << 20, 64 << 10):
        with suppress(MemoryError):
            while True:
                hoard[taken] = bytearray(size)
                taken += 1
    return hoard


def test_a_checkpoint_that_does_not_fit_into_memory_is_not_begun(
    directory: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    """M4: under a real limit that just fits the training: ``oom``, and no file changes."""

    def act() -> int:
        real = checkpoint.seal

        def seal_without_memory(content: dict[str, Any]) -> memoryview:
            hoard = exhaust_memory()
            try:
                return real(content)
            finally:
                hoard.clear()

        def starve() -> None:
            checkpoint.seal = seal_without_memory
            shutil.copytree(directory, tmp_path / "before")

        try:
            train(directory, progress=On(EpochDone, starve))
        except OutOfMemoryError:
            return 4
        return 0

    assert in_child(act) == 4
    before = {path.name: path.read_bytes() for path in (tmp_path / "before").glob("*.pt")}
    assert {path.name: path.read_bytes() for path in directory.glob("*.pt")} == before
    assert not list(directory.glob("*.tmp"))
    resume(directory)
    assert describe_end(directory) == whole


def test_a_validation_that_does_not_fit_into_memory_keeps_the_model(trained: Path) -> None:
    """M5: under a real limit, reached while measuring the best model: exit 5; the next run only validates."""

    def act() -> int:
        real = validation.evaluate

        def evaluate_without_memory(*arguments: Any, **options: Any) -> Any:
            hoard = exhaust_memory()
            try:
                return real(*arguments, **options)
            finally:
                hoard.clear()

        validation.evaluate = evaluate_without_memory
        try:
            run_pipeline(configure(trained, num_epochs=1))
        except OutOfMemoryError as error:
            return error.status
        return 0

    before = (trained / names.FINAL_MODEL).read_bytes()
    assert in_child(act) == 5
    status = run_pipeline(configure(trained, num_epochs=1))
    assert status.phase_records["model_training"].outcome == "reused"
    assert (trained / names.FINAL_MODEL).read_bytes() == before


@pytest.mark.parametrize("error", [MemoryError(), NO_MEMORY], ids=["MemoryError", "torch"])
@pytest.mark.parametrize("place", ["evaluate", "measure_in_child", "draw_samples"])
def test_memory_that_runs_out_in_the_validation_keeps_the_model(
    trained: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, place: str
) -> None:
    """M5: ``oom``, exit 5, and training is not repeated."""

    def refuse(*arguments: object, **keywords: object) -> None:
        raise error

    before = (trained / names.FINAL_MODEL).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(validation, place, refuse)
        with pytest.raises(OutOfMemoryError) as caught:
            run_pipeline(configure(trained, num_epochs=1))
    assert caught.value.status == 5
    assert (trained / names.FINAL_MODEL).read_bytes() == before
    status = read_status(trained)
    assert status is not None
    assert status.phase_records["model_training"].outcome in {"done", "reused"}


def test_memory_does_not_creep(directory: Path) -> None:
    """M7: from the second epoch, less than 1 % growth per epoch, checkpoints and samples included."""
    output = directory.parent / "rss"

    def act() -> None:
        sizes: list[int] = []

        def measure() -> int:
            status = Path("/proc/self/status").read_text(encoding="ascii")
            return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

        train(
            directory,
            num_epochs=20,
            progress=lambda event: sizes.append(measure()) if isinstance(event, EpochDone) else None,
        )
        output.write_text(" ".join(map(str, sizes)))

    assert in_child(act) == 0
    sizes = [int(size) for size in output.read_text().split()]
    assert (sizes[-1] / sizes[1]) ** (1 / (len(sizes) - 2)) - 1 < 0.01


def test_one_slow_core_changes_nothing_but_the_time(directory: Path, whole: dict[str, Any]) -> None:
    """M8: pinned to one core at low priority, beside two busy processes."""

    def act() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.nice(19)
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            train(directory)
        finally:
            for one in busy:
                one.kill()
                one.wait()

    assert in_child(act) == 0
    assert describe_end(directory) == whole


def test_the_prediction_of_too_little_memory_does_not_wait_for_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """M6: a shape that is too large is refused by arithmetic, before the packages are checked."""

    class SlowPackages(KnownPackages):
        def list_checks(self) -> Any:
            raise AssertionError("waited for the packages")

    monkeypatch.setattr(prerequisite_check, "PackageProbe", SlowPackages)
    monkeypatch.setattr(memory, "measure_available_mb", lambda: 4000.0)
    shape = "--batch-size 128 --max-sequence-length 2048 --tokenizer-vocab-size 32000 --num-heads 16 --d-model 512"
    words = ["run", "--output-dir", str(tmp_path / "run"), "--corpus-source", "sample", *SMALL]
    began_s = time.process_time()
    assert cli.main([*words, *shape.split(), "--num-layers", "12"]) == 1
    assert time.process_time() - began_s < 1  # of work: a busy machine makes no difference
    assert "error[oom] prerequisite_check" in capsys.readouterr().err
