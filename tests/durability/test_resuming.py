"""Rows R of the fault catalogue: what a resume uses, refuses and reports before it starts."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
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
from semilla.configuration.settings import to_toml
from semilla.errors import IncompatibleError, IntegrityError, InterruptedRunError
from semilla.events import Note, StepDone, Warned, silent
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import corpus_download
from semilla.records import files, names
from semilla.records.metrics import read_metrics
from semilla.records.run_configuration import read_run_configuration
from semilla.records.status import PipelineStatus, read_status, write_status
from semilla.training.checkpoints.seal import read_sealed, seal


def stop_after(directory: Path, *, steps: int, **changes: Any) -> None:
    """Stop a training after some steps, saved as by Ctrl-C."""
    with pytest.raises(InterruptedRunError):
        resume(directory, progress=On(StepDone, send_to_self(signal.SIGINT), nth=steps), **changes)


@pytest.mark.parametrize("damage", ["empty", "zeros", "cut", "flipped", "swapped"])
def test_the_newest_checkpoint_that_verifies_is_taken(
    directory: Path, whole: dict[str, Any], damage: str
) -> None:
    """R1, R4: a damaged newer one is reported with the reason, and removed once a new one is complete."""
    stop_after(directory, steps=20)
    newest = directory / "checkpoint_step_20.pt"
    good = newest.read_bytes()
    bad = {"empty": b"", "zeros": bytes(len(good)), "cut": good[:-1], "swapped": good[::-1]}
    bad["flipped"] = good[:1000] + bytes([good[1000] ^ 4]) + good[1001:]
    newest.write_bytes(bad[damage])
    write_status(directory, PipelineStatus(artifacts_created=[newest.name]))
    listener = On(Warned, lambda: None)
    record = resume(directory, progress=listener)
    reported = [event for event in listener.events if isinstance(event, Warned)]
    assert [event.topic for event in reported] == ["integrity"]
    assert "skipped checkpoint_step_20.pt" in reported[0].text
    assert record.warnings == [reported[0].text]
    assert describe_end(directory) == whole
    assert list_checkpoints(directory) == {f"checkpoint_epoch_{n}.pt" for n in (1, 2, 3)}


def test_a_folder_with_the_name_of_a_checkpoint_is_in_nobodys_way(
    directory: Path, whole: dict[str, Any]
) -> None:
    """It is skipped with its reason; new checkpoints are kept, and the folder stays (H1, H13)."""
    planted = directory / "checkpoint_step_9999999999.pt"
    planted.mkdir()
    stop_after(directory, steps=20)
    write_status(directory, PipelineStatus(artifacts_created=[planted.name, "checkpoint_step_20.pt"]))
    listener = On(Warned, lambda: None)
    resume(directory, progress=listener)
    reported = [event.text for event in listener.events if isinstance(event, Warned)]
    assert reported == [f"skipped {planted.name} is not a regular file of at most 2 GB"]
    assert describe_end(directory) == whole
    assert planted.is_dir()


def test_without_a_valid_checkpoint_nothing_is_started(directory: Path) -> None:
    """R3: ``integrity``; no file changes, and the error says how to start over."""
    stop_after(directory, steps=20)
    for path in directory.glob("checkpoint_*.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    with pytest.raises(IntegrityError, match="--no-resume") as caught:
        resume(directory)
    assert "--no-resume" in str(caught.value.next_command)
    assert {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before


def test_starting_over_keeps_the_old_checkpoints_until_a_new_one_is_complete(directory: Path) -> None:
    """K5: a new lineage starts at step 1, whatever numbers the old files have."""
    stop_after(directory, steps=30)
    old = list_checkpoints(directory)
    seen: list[set[str]] = []
    train(directory, num_epochs=1, progress=On(StepDone, lambda: seen.append(list_checkpoints(directory))))
    assert seen == [old]
    assert list_checkpoints(directory) == {"checkpoint_epoch_1.pt"}


def test_a_checkpoint_of_another_text_is_refused(directory: Path, tmp_path: Path) -> None:
    """R6: copied from another run; the error names each difference with both values."""
    other = tmp_path / "otro" / "run"
    shutil.copytree(directory, other)
    (other.parent / "libro.txt").write_text("El niño no quiere más. ¿Y tú?\n" * 4000, encoding="utf-8")
    corpus_download.run(configure(other), progress=silent)
    stop_after(directory, steps=5)
    shutil.copy(directory / "checkpoint_step_5.pt", other)
    with pytest.raises(IncompatibleError, match=r"corpus [0-9a-f]{12} -> [0-9a-f]{12}"):
        resume(other)


def test_changes_that_prevent_an_exact_resume_are_reported_and_recorded(directory: Path) -> None:
    """R7: before the first step, in the status, and in all later checkpoints of the run."""
    stop_after(directory, steps=5)
    events: list[Any] = []
    stop = On(StepDone, send_to_self(signal.SIGINT))

    def listen(event: Any) -> None:
        events.append(event)
        stop(event)

    with pytest.raises(InterruptedRunError):
        resume(directory, learning_rate=1e-3, num_threads=2, progress=listen)
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert warned.topic == "resume"
    assert "learning_rate 0.0003 -> 0.001, num_threads 1 -> 2" in warned.text
    assert events.index(warned) < next(i for i, event in enumerate(events) if isinstance(event, StepDone))
    record = resume(directory, learning_rate=1e-3, num_threads=2)
    assert record.details["departures"] == ["learning_rate 0.0003 -> 0.001", "num_threads 1 -> 2"]


@pytest.mark.parametrize(
    "name", ["torch_version", "numpy_version", "cpu_capability", "processor", "num_threads"]
)
def test_another_machine_is_noticed(directory: Path, name: str) -> None:
    """R7: everything else that affects the bits is recorded, and a change is reported."""
    stop_after(directory, steps=3)
    path = directory / "checkpoint_step_3.pt"
    content = read_sealed(path)
    content["provenance"]["environment"][name] = "another"
    files.write_bytes(path, seal(content))
    listener = On(Warned, lambda: None)
    train_a_step(directory, listener)
    (warned,) = [event for event in listener.events if isinstance(event, Warned)]
    assert f"{name} another -> " in warned.text


def train_a_step(directory: Path, listener: On) -> None:
    stop = On(StepDone, send_to_self(signal.SIGINT))

    def listen(event: Any) -> None:
        listener(event)
        stop(event)

    with pytest.raises(InterruptedRunError):
        resume(directory, progress=listen)


@pytest.mark.parametrize("times", ["equal", "reversed"])
def test_order_comes_from_counts_and_never_from_file_times(
    directory: Path, whole: dict[str, Any], times: str
) -> None:
    """R14: the newest checkpoint is the one with the most steps, whatever its file time."""
    stop_after(directory, steps=20, checkpoint_seconds=1e-9)
    for path in directory.glob("checkpoint_*.pt"):
        age_s = int(path.stem.split("_")[2]) if times == "reversed" else 0
        os.utime(path, (10**9 - age_s, 10**9 - age_s))
    listener = On(Note, lambda: None)
    resume(directory, progress=listener)
    reported = next(event.text for event in listener.events if isinstance(event, Note))
    assert "Continuing from checkpoint_step_20.pt" in reported
    assert describe_end(directory) == whole


FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
JUMPING_RUN = """
import itertools, os, select, sys, time
from pathlib import Path
import torch
from tiny_training import KnownPackages, configure
from semilla.evaluation.gates import THRESHOLDS, Threshold
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import prerequisite_check

jumps = itertools.cycle(["+3650d", "-3650d", "+1h", "-40d"])
torch.set_num_threads(1)
time.sleep = lambda seconds: select.select([], [], [], seconds)  # libfaketime breaks the other
prerequisite_check.PackageProbe = KnownPackages
THRESHOLDS["gain_over_frequencies"] = Threshold("gate", ">=", -100.0)
run_pipeline(
    configure(Path(sys.argv[1]), checkpoint_seconds=1e-9),
    resume=True,
    listeners=[lambda event: Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(next(jumps))],
)
"""
"""A run whose clock jumps by years, forth and back, at everything it says."""


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")
def test_a_clock_that_jumps_changes_no_bit_and_no_duration(directory: Path, whole: dict[str, Any]) -> None:
    """R14: nor does a time zone; the reported duration is at most the real one."""
    stop_after(directory, steps=20, checkpoint_seconds=1e-9)
    before_s = sum(row.elapsed_seconds for row in read_metrics(directory / names.METRICS).epoch_history)
    jumping = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(directory.parent / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "TZ": "Pacific/Kiritimati",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    (directory.parent / "clock").write_text("+0")
    began_s = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", JUMPING_RUN, str(directory)], env={**os.environ, **jumping}, check=True
    )
    passed_s = time.monotonic() - began_s
    assert describe_end(directory) == whole
    status = read_status(directory)
    assert status
    assert status.run_state == "complete"
    assert min(status.phase_timings.values()) >= 0
    assert sum(status.phase_timings.values()) < passed_s
    epochs_s = [row.elapsed_seconds for row in read_metrics(directory / names.METRICS).epoch_history]
    assert min(epochs_s) >= 0
    assert sum(epochs_s) <= before_s + passed_s + len(epochs_s)  # whole seconds each


@pytest.mark.parametrize("age", ["newer", "older", "damaged", "gone"])
def test_metrics_and_models_follow_the_checkpoint(
    directory: Path, whole: dict[str, Any], tmp_path: Path, age: str
) -> None:
    """R16: they are rebuilt from the checkpoint before the first step."""
    stop_after(directory, steps=20)
    early = {name: (directory / name).read_bytes() for name in (names.METRICS, names.BEST_MODEL)}
    if age == "newer":
        late = shutil.copytree(directory, tmp_path / "late")
        resume(late)
        early = {name: (late / name).read_bytes() for name in early}
    for name, data in early.items():
        (directory / name).write_bytes(b"{" if age == "damaged" else data)
        if age == "gone":
            (directory / name).unlink()
    seen: list[list[int]] = []
    listener = On(
        StepDone,
        lambda: seen.append([e.epoch_number for e in read_metrics(directory / names.METRICS).epoch_history]),
    )
    resume(directory, progress=listener)
    assert seen == [[1]]
    assert describe_end(directory) == whole


def test_a_fresh_start_empties_the_metrics_of_the_run_before(directory: Path) -> None:
    """R16: they never contain epochs that this training has not done."""
    train(directory, num_epochs=2)
    seen: list[int] = []
    listener = On(StepDone, lambda: seen.append(len(read_metrics(directory / names.METRICS).epoch_history)))
    train(directory, num_epochs=1, progress=listener)
    assert seen == [0]


def test_resuming_without_checkpoints_starts_and_says_so(
    directory: Path, whole: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """R11, R12: no question without a terminal or with closed standard input. R9: then no byte changes."""
    config = configure(directory)
    (directory.parent / "ajustes.toml").write_text(to_toml(config), encoding="utf-8")
    output = directory.parent / "stdout"

    def act() -> int:
        os.close(0)
        sys.stdin, sys.stdout = None, output.open("w")  # type: ignore[assignment]
        code = cli.main(["run", "--config", str(directory.parent / "ajustes.toml"), "--resume"])
        sys.stdout.flush()
        return code

    assert in_child(act) == 0
    assert "Nothing to resume from: the training starts at the first step." in output.read_text()
    assert describe_end(directory) == whole
    before = read_all(directory)
    assert in_child(act) == 0
    assert read_all(directory) == before


def read_all(directory: Path) -> dict[str, bytes]:
    """Every file by name, without log, lock and heartbeat."""
    paths = [
        path
        for path in directory.rglob("*")
        if path.is_file() and path.name not in {names.LOG, names.LOCK, names.HEARTBEAT}
    ]
    return {path.name: path.read_bytes() for path in paths}


def test_a_lost_status_is_rebuilt(directory: Path, whole: dict[str, Any]) -> None:
    """R16: missing or damaged, the run continues from its checkpoints under a new run id."""
    stop_after(directory, steps=20)
    (directory / names.STATUS).write_bytes(b"{")
    status = run_pipeline(configure(directory), resume=True)
    assert status.run_state == "complete"
    assert describe_end(directory) == whole


def test_ten_thousand_reads_while_it_is_written(directory: Path) -> None:
    """R20: a reader always sees a complete status, old or new."""
    write_status(directory, PipelineStatus())

    def write_for_ever() -> None:
        while True:
            write_status(directory, PipelineStatus(artifacts_created=["ñ" * 1000]))

    child = fork()
    if child == 0:
        write_for_ever()
    try:
        seen = {read_status(directory).pipeline_id for _ in range(10_000)}  # type: ignore[union-attr]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert len(seen) > 1


@pytest.mark.parametrize("name", [names.STATUS, names.METRICS, names.CONFIGURATION])
def test_a_flipped_bit_in_a_record_is_found(trained: Path, name: str) -> None:
    """R2: any of five hundred flips and any truncation, also in the files that hold the other files' hashes."""
    path = trained / name
    good = path.read_bytes()
    read = {
        names.STATUS: lambda: read_status(trained),
        names.METRICS: lambda: read_metrics(path),
        names.CONFIGURATION: lambda: read_run_configuration(trained),
    }[name]
    assert read()
    draw = random.Random(7)
    places = [(draw.randrange(len(good)), draw.randrange(8)) for _ in range(500)]
    damaged = [good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :] for at, bit in places]
    for bad in [*damaged, *(good[:size] for size in (0, 1, len(good) // 2, len(good) - 1))]:
        path.write_bytes(bad)
        with pytest.raises(IntegrityError):
            read()
