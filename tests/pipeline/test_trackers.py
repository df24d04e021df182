"""Trackers pass a run's figures to other programs through the usual events."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import semilla
from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.events import ArtifactWritten, EpochDone, Event, Note, Resumed, StepDone
from semilla.pipeline import trackers
from semilla.pipeline.trackers import open_tracker
from semilla.records.metrics import EpochMetrics
from semilla.records.status import PipelineStatus, write_status

DOCUMENT = Path(__file__).parents[2] / "docs" / "trackers.md"
METRICS = EpochMetrics(
    epoch_number=1,
    train_loss=4.5,
    validation_loss=4.75,
    learning_rate=3e-4,
    elapsed_seconds=20,
    sample_outputs=["¡Había!"],
    gradient_norm=1.25,
    tokens_per_second=20_000.0,
    bits_per_byte={"all": 1.5, "es": 1.625},
)
STEP = StepDone(3, 10, 1, 2, 5.5, 3e-4, 20_000.0, 7.0)


def test_the_documented_tracker_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code in docs/trackers.md keeps a row per epoch when its events come from a simulated training."""
    monkeypatch.chdir(tmp_path)

    def play(config: PipelineConfiguration, *, listeners: list[Any]) -> None:
        for number in (1, 2):
            for listener in listeners:
                listener(STEP)
                listener(EpochDone(METRICS.model_copy(update={"epoch_number": number}), is_best=True))

    monkeypatch.setattr(semilla, "run", play, raising=False)
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(block, str(DOCUMENT), "exec"), {})
    with (tmp_path / "epochs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch_number"], row["validation_loss"]) for row in rows] == [("1", "4.75"), ("2", "4.75")]


def test_the_documented_tracker_has_twenty_lines() -> None:
    """The page promises a small class."""
    text = DOCUMENT.read_text(encoding="utf-8")
    body = text[text.index("class CsvTracker") : text.index("config = semilla")]
    assert len(body.strip().splitlines()) <= 20


def test_no_tracker_is_the_default(tmp_path: Path) -> None:
    """By default no tracker package is imported and no file is created."""
    with open_tracker(PipelineConfiguration(output_directory=str(tmp_path)), tell=print) as listeners:
        assert listeners == ()
    assert list(tmp_path.iterdir()) == []


def read_scalars(path: Path) -> dict[tuple[str, int], float]:
    """Tag and step -> value, from TensorBoard's records (length, checksum, event, checksum)."""
    from tensorboard.compat.proto.event_pb2 import Event as Row

    data, scalars = path.read_bytes(), {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        row = Row.FromString(data[12 : 12 + length])
        data = data[12 + length + 4 :]
        for value in row.summary.value:
            scalars[value.tag, row.step] = value.simple_value
    return scalars


def test_tensorboard_gets_steps_and_epochs(tmp_path: Path) -> None:
    """It gets losses, learning rates and bits per byte per language; its file is listed as an artifact."""
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    config = PipelineConfiguration(output_directory=str(tmp_path), tracker="tensorboard")
    reported: list[Event] = []
    with open_tracker(config, tell=reported.append) as (tracker,):
        assert list(tmp_path.iterdir()) == []
        tracker(STEP)
        tracker(EpochDone(METRICS, is_best=True))
    (path,) = (tmp_path / "tensorboard").iterdir()
    assert reported == [ArtifactWritten(path)]
    scalars = read_scalars(path)
    assert scalars["step/loss", 3] == 5.5
    assert scalars["epoch/validation_loss", 1] == 4.75
    assert scalars["bits_per_byte/es", 1] == 1.625


Figures: TypeAlias = dict[tuple[str, int], float]


def read_trackio(folder: Path) -> list[tuple[str, dict[str, Any], Figures]]:
    """Each run's name, settings and figures, from trackio's database."""
    runs: dict[str, Figures] = {}
    with closing(sqlite3.connect(folder / "semilla.db")) as database:
        for run, step, text in database.execute("SELECT run_id, step, metrics FROM metrics"):
            runs.setdefault(run, {}).update({(tag, step): value for tag, value in json.loads(text).items()})
        described = {
            run: (name, json.loads(text))
            for run, name, text in database.execute("SELECT run_id, run_name, config FROM configs")
        }
    return [(*described[run], figures) for run, figures in runs.items()]


def read_mlflow(folder: Path) -> list[tuple[str, dict[str, Any], Figures]]:
    """Each run's name, settings and figures, from mlflow's files."""
    runs = []
    for place in (path.parent for path in folder.glob("*/*/metrics")):
        files = [path for path in (place / "metrics").rglob("*") if path.is_file()]
        rows = [(path, line.split()) for path in files for line in path.read_text("utf-8").splitlines()]
        figures = {
            (path.relative_to(place / "metrics").as_posix(), int(step)): float(value)
            for path, (_, value, step) in rows
        }
        settings = {path.name: path.read_text("utf-8") for path in (place / "params").iterdir()}
        runs.append(((place / "tags" / "mlflow.runName").read_text("utf-8"), settings, figures))
    return runs


READERS = {"trackio": read_trackio, "mlflow": read_mlflow}


def track(directory: Path, tracker: str, *events: Event) -> list[Event]:
    """Send the events of a training to a tracker; return what it told the run."""
    told: list[Event] = []
    config = PipelineConfiguration(output_directory=str(directory), tracker=tracker)
    with open_tracker(config, tell=told.append) as (listener,):
        for event in events:
            listener(event)
    return told


@pytest.mark.parametrize("tracker", READERS)
def test_trackio_and_mlflow_get_what_tensorboard_gets(tmp_path: Path, tracker: str) -> None:
    """They also get the run's name and settings. ``semilla clean`` removes their folder."""
    pytest.importorskip(tracker, reason=f"the extra {tracker} is not installed")
    directory = tmp_path / "ñandú"
    directory.mkdir()
    told = track(directory, tracker, STEP, EpochDone(METRICS, is_best=True))
    ((name, settings, figures),) = READERS[tracker](directory / tracker)
    assert figures == {
        ("step/loss", 3): 5.5,
        ("step/learning_rate", 3): 3e-4,
        ("step/tokens_per_second", 3): 20_000.0,
        ("epoch/train_loss", 1): 4.5,
        ("epoch/validation_loss", 1): 4.75,
        ("epoch/gradient_norm", 1): 1.25,
        ("bits_per_byte/all", 1): 1.5,
        ("bits_per_byte/es", 1): 1.625,
    }
    assert name == "ñandú"
    assert (str(settings["num_layers"]), settings["corpus_source"]) == ("2", "gutenberg")
    assert told == [ArtifactWritten(directory / tracker)]
    write_status(directory, PipelineStatus(artifacts_created=[tracker]))
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("tracker", READERS)
def test_a_resumed_training_continues_its_run(tmp_path: Path, tracker: str) -> None:
    """A training from the beginning in the same directory is another run."""
    pytest.importorskip(tracker, reason=f"the extra {tracker} is not installed")
    later = replace(STEP, step=4, loss=5.25)
    track(tmp_path, tracker, STEP)
    track(tmp_path, tracker, Resumed(3, (), None, is_best=False), later)
    track(tmp_path, tracker, later)
    losses = [
        {step: value for (tag, step), value in figures.items() if tag == "step/loss"}
        for _, _, figures in READERS[tracker](tmp_path / tracker)
    ]
    assert sorted(losses, key=len) == [{4: 5.25}, {3: 5.5, 4: 5.25}]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put code in place of trackio; returns a directory for a run."""

    def install(code: str) -> Path:
        (tmp_path / "packages").mkdir()
        (tmp_path / "packages" / "trackio.py").write_text(code, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
        directory = tmp_path / "run"
        directory.mkdir()
        return directory

    return install


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise RuntimeError('¡se rompió!')", "RuntimeError: ¡se rompió!"),
        ("import os; os._exit(3)", "it ended with code 3"),
        ("import time; time.sleep(600)", "it did not end within 0 s"),
    ],
)
def test_a_tracker_that_fails_stops_no_training(
    stand_in: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, code: str, why: str
) -> None:
    """The run goes on, and one note says what is missing and why."""
    directory = stand_in(code)
    if "sleep" in code:
        monkeypatch.setattr(trackers, "TIMEOUT_S", 0.0)
    told = track(directory, "trackio", *[replace(STEP, step=number) for number in range(1, 500)])
    notes = [event for event in told if isinstance(event, Note)]
    assert notes == [Note(f"trackio lacks figures of this run: {why}.")]


def test_no_variable_leads_a_tracker_elsewhere(
    stand_in: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers named for other programs are not asked; what the library prints goes nowhere."""
    seen = tmp_path / "seen.json"
    directory = stand_in(
        "import json, os, pathlib, sys\n"
        "print('noise'), print('noise', file=sys.stderr)\n"
        f"pathlib.Path({str(seen)!r}).write_text(json.dumps(dict(os.environ)))\n"
        "def init(**options): return sys.modules['trackio']\n"
        "def log(figures, step): pass\n"
        "def finish(): pass\n"
    )
    for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "MLFLOW_TRACKING_URI", "TRACKIO_DIR"):
        monkeypatch.setenv(name, "https://example.org")
    assert not [one for one in track(directory, "trackio", STEP) if isinstance(one, Note)]
    environment = json.loads(seen.read_text(encoding="utf-8"))
    assert "https://example.org" not in environment.values()
    assert environment["TRACKIO_DIR"] == str(directory / "trackio")
    assert (environment["HF_HUB_OFFLINE"], environment["MLFLOW_DISABLE_TELEMETRY"]) == ("1", "true")


def test_tensorboard_pulls_in_neither_torch_nor_tensorflow() -> None:
    """The tracker's imports load no other framework."""
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    code = (
        "import sys\n"
        "from tensorboard.summary.writer.event_file_writer import EventFileWriter\n"
        "from tensorboard.compat.proto.event_pb2 import Event\n"
        "assert not {'torch', 'tensorflow'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
