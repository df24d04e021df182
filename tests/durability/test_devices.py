"""A run on another device than the CPU: only its steps differ. The engine for GPUs computes on the CPU here."""

from __future__ import annotations

import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny_training import On, configure, describe_end, resume, send_to_self, train

from semilla.errors import DependencyError, InterruptedRunError
from semilla.events import Note, StepDone
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import model_training
from semilla.records import names
from semilla.training.parallel.workers import Workers


@pytest.fixture
def accelerated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_training, "open_workers", partial(Workers, accelerates=True))


@pytest.mark.usefixtures("accelerated")
def test_a_training_is_recorded_saved_and_resumed_as_on_the_cpu(
    directory: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    """Stopped in an epoch and continued, it ends with the same bits, and close to where the CPU's engine ends."""
    other = Path(shutil.copytree(directory, tmp_path / "other"))
    train(directory)
    with pytest.raises(InterruptedRunError):
        train(other, progress=On(StepDone, send_to_self(signal.SIGINT), nth=20))
    resume(other)
    end = describe_end(directory)
    assert describe_end(other) == end
    assert end["metrics"].keys() == whole["metrics"].keys()
    assert end["hashes"] != whole["hashes"]
    assert end["losses"]["val_losses"] == pytest.approx(whole["losses"]["val_losses"], abs=0.05)


@pytest.mark.usefixtures("accelerated")
def test_the_whole_job_runs_with_it(directory: Path) -> None:
    """Validation and the bundle come from its checkpoints."""
    run_pipeline(configure(directory, num_epochs=1))
    assert (directory / names.PAGE).is_file()
    assert any((directory / names.BUNDLE).iterdir())


def test_auto_says_what_it_takes(directory: Path, whole: dict[str, Any]) -> None:
    """Where there is no GPU it takes the CPU, and the weights are those of ``cpu`` in every bit."""
    listener = On(Note, lambda: None)
    train(directory, progress=listener, device="auto")
    told = [event.text for event in listener.events if isinstance(event, Note)]
    assert any(text.startswith("The network is trained on cpu: ") for text in told)
    assert describe_end(directory) == whole


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_missing_device_ends_the_training_before_it_begins(directory: Path, device: str) -> None:
    with pytest.raises(DependencyError, match=f"--device {device} cannot be used here"):
        train(directory, device=device)
    assert not list(directory.glob("checkpoint_*"))
