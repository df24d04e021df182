"""Trackers pass a run's figures to other programs through the usual events."""

from __future__ import annotations

import csv
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import semilla
from semilla.configuration.schema import PipelineConfiguration
from semilla.events import ArtifactWritten, EpochDone, Event, StepDone
from semilla.pipeline.trackers import open_tracker
from semilla.records.metrics import EpochMetrics

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
    with open_tracker(PipelineConfiguration(output_directory=str(tmp_path)), tell=print) as trackers:
        assert trackers == ()
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
