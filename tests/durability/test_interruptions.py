"""Rows K of the fault catalogue: kills, stops and hang-ups give the same result as an undisturbed run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disk_faults import DiskFaults, kill
from tiny_training import (
    On,
    configure,
    describe_end,
    fork,
    in_child,
    list_checkpoints,
    resume,
    send_to_self,
    train,
)

from semilla import cli
from semilla.errors import PHASES, InterruptedRunError
from semilla.events import EpochDone, PhaseStarted, StepDone
from semilla.pipeline.main_job import run_pipeline
from semilla.records.status import read_status
from semilla.system import interrupts
from semilla.training.checkpoints import persistence
from semilla.training.checkpoints.checkpoint import find_checkpoints

EACH_STEP = {"checkpoint_seconds": 1e-9}
"""A step checkpoint after every step."""


def test_killed_within_an_epoch_the_training_ends_in_the_same_bits(
    directory: Path, whole: dict[str, Any]
) -> None:
    """K1, K7: five kills at different kinds of steps, each resumed from the last checkpoint."""
    for steps in (3, 1, 13, 16, 2):
        die = On(StepDone, kill, nth=steps)
        assert in_child(lambda die=die: resume(directory, progress=die, **EACH_STEP)) == -signal.SIGKILL
    record = resume(directory)
    assert describe_end(directory) == whole
    assert record.details["departures"] == []


@pytest.mark.parametrize("call", ["replace", "fsync", "unlink"])
def test_killed_while_saving_the_training_ends_in_the_same_bits(
    directory: Path, whole: dict[str, Any], call: str
) -> None:
    """K2, K4, K5: kills during a write, before a rename and before pruning leave no temporary files."""
    for at in (2, 9, 5):
        with DiskFaults(at=at, act=kill, only=[call]):
            assert in_child(lambda: resume(directory, **EACH_STEP)) == -signal.SIGKILL
    resume(directory, **EACH_STEP)
    assert describe_end(directory) == whole
    kinds = [name.split("_")[1] for name in list_checkpoints(directory)]
    assert (kinds.count("epoch"), kinds.count("step")) == (3, 2)


def test_a_kill_loses_no_more_than_the_time_between_checkpoints(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any step, unsaved work is younger than ``checkpoint_seconds`` plus one step."""
    clock = iter(float(second) for second in range(10**6))
    monkeypatch.setattr(persistence.time, "monotonic", lambda: next(clock))
    unsaved, longest = 0, 0

    def watch(event: object) -> None:
        nonlocal unsaved, longest
        if isinstance(event, StepDone):
            unsaved += 1
            longest = max(longest, unsaved)
        elif type(event).__name__ == "ArtifactWritten" and "checkpoint" in event.path.name:
            unsaved = 0

    # The clock ticks once a step and once a save: ten seconds are ten steps.
    train(directory, progress=watch, checkpoint_seconds=10.0, checkpoint_every=100)
    assert 8 <= longest <= 11


def test_a_signal_at_the_end_of_an_epoch_loses_no_step(directory: Path, whole: dict[str, Any]) -> None:
    """K8: even if only every hundredth epoch is saved."""
    with pytest.raises(InterruptedRunError):
        train(directory, progress=On(StepDone, send_to_self(signal.SIGINT), nth=25), checkpoint_every=100)
    (newest, *_), _ = find_checkpoints(directory)
    assert newest.content["step"] == 25
    with pytest.raises(InterruptedRunError):
        resume(directory, progress=On(EpochDone, send_to_self(signal.SIGINT)), checkpoint_every=100)
    (newest, *_), _ = find_checkpoints(directory)
    resume(directory)
    assert describe_end(directory) == whole


def test_ctrl_c_in_every_phase_and_the_run_still_ends_the_same(
    directory: Path, whole: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """K8, R11: exit 130 and status interrupted each time; after five of them the run is complete."""
    words = ["run", "--config", str(write_configuration(directory)), "--resume"]
    for phase in PHASES:
        code = in_child(
            lambda phase=phase: run_with(words, On(PhaseStarted, send_to_self(signal.SIGINT), phase=phase))
        )
        assert code == 130
        status = read_status(directory)
        assert status is not None
        assert (status.run_state, status.current_phase) == ("interrupted", phase)
    assert cli.main(words) == 0
    assert describe_end(directory) == whole
    status = read_status(directory)
    assert status is not None
    assert (status.run_state, status.attempt) == ("complete", len(PHASES) + 1)
    capsys.readouterr()


def write_configuration(directory: Path) -> Path:
    from semilla.configuration.settings import to_toml

    path = directory.parent / "ajustes.toml"
    path.write_text(to_toml(configure(directory)), encoding="utf-8")
    return path


def run_with(words: list[str], listener: Callable[[Any], None]) -> int:
    """Run the command with an additional listener."""
    import semilla.pipeline.main_job

    def run(config: Any, *, listeners: Any, **options: Any) -> Any:
        return run_pipeline(config, listeners=[*listeners, listener], **options)

    semilla.pipeline.main_job.run_pipeline = run
    return cli.main(words)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)]
)
def test_a_signal_stops_the_run_after_the_step(directory: Path, number: signal.Signals, code: int) -> None:
    """K8, K10: the step in which the signal arrived is saved."""
    before = signal.signal(number, signal.default_int_handler)  # under nohup SIGHUP is ignored, rightly
    try:
        with pytest.raises(InterruptedRunError) as caught:
            train(directory, progress=On(StepDone, send_to_self(number), nth=4))
    finally:
        signal.signal(number, before)
    assert caught.value.status == code
    assert list_checkpoints(directory) == {"checkpoint_step_4.pt"}


def test_a_second_signal_leaves_at_once_without_harm(directory: Path, whole: dict[str, Any]) -> None:
    """K8: during a save, with half a file written; the next run removes it and gives the same result."""

    def ask_twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with DiskFaults(at=3, act=ask_twice, only=["write"]):
        assert in_child(lambda: train(directory, **EACH_STEP)) == 130
    assert len(list(directory.glob("*.tmp"))) == 1
    resume(directory)
    assert describe_end(directory) == whole


def test_stopped_and_continued_the_run_simply_goes_on(directory: Path, whole: dict[str, Any]) -> None:
    """K10: Ctrl-Z, then fg."""
    child = fork()
    if child == 0:
        os.setpgrp()  # in a group whose leader is gone nobody could continue it, so it would not be stopped
        train(directory, progress=On(StepDone, send_to_self(signal.SIGTSTP), nth=5))
        os._exit(0)
    _, state = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(state)
    os.kill(child, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert describe_end(directory) == whole


def test_what_nohup_ignores_stays_ignored() -> None:
    """K10: a run started behind ``nohup`` outlives its terminal."""

    def act() -> int:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with interrupts.catch_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            return 1 if interrupts.requested() else 0

    assert in_child(act) == 0


def test_a_reader_that_leaves_does_not_end_the_run(directory: Path) -> None:
    """K13: ``semilla run | head -1`` breaks the pipe at the first lines, and the run still finishes."""
    words = ["run", "--config", str(write_configuration(directory))]
    reader, writer = os.pipe()
    error_path = directory.parent / "stderr"

    def act() -> int:
        os.close(reader)
        os.dup2(writer, 1)
        os.dup2(os.open(error_path, os.O_CREAT | os.O_WRONLY), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        return cli.main(words)

    leave = threading.Thread(target=lambda: (os.read(reader, 1), os.close(reader)))
    leave.start()
    code = in_child(act)
    os.close(writer)
    leave.join()
    status = read_status(directory)
    assert status is not None
    assert (code, status.run_state) == (0, "complete")
    assert error_path.read_text() == ""
