"""A training is never taken back: continuing with fewer epochs than are done changes nothing."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

import pytest
from small_runs import hash_tree
from tiny_training import On, configure, send_to_self

from semilla import cli
from semilla.configuration.settings import to_command
from semilla.errors import IncompatibleError, InterruptedRunError, OutOfMemoryError
from semilla.events import Note, StepDone
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import validation
from semilla.records import names


def run_out(*arguments: object, **keywords: object) -> None:
    raise MemoryError


def interrupt(directory: Path, *, step: int) -> None:
    """A run with three epochs, stopped after ``step`` steps, 13 of which are an epoch."""
    stop = On(StepDone, send_to_self(signal.SIGTERM), nth=step)
    with pytest.raises(InterruptedRunError):
        run_pipeline(configure(directory), listeners=[stop])


def resume(directory: Path, **changes: object) -> list[str]:
    """Continue, and return the notes."""
    listener = On(Note, lambda: None)
    run_pipeline(configure(directory, **changes), resume=True, listeners=[listener])
    return [event.text for event in listener.events if isinstance(event, Note)]


@pytest.mark.parametrize("step", [30, 26], ids=["inside an epoch", "at its end"])
def test_an_unfinished_training_that_is_further_stays_as_it_is(directory: Path, step: int) -> None:
    """It is said, with what to do; no file changes, and the training can be finished after that."""
    interrupt(directory, step=step)
    before = hash_tree(directory)
    (note,) = [text for text in resume(directory, num_epochs=1) if "lready" in text]
    assert note.startswith("Already trained further: checkpoint_")
    assert "--num-epochs is 1" in note
    assert hash_tree(directory) == before
    assert not (directory / names.FINAL_MODEL).exists()


def test_an_unfinished_training_is_not_called_a_model(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 0 and suggests the one that continues; there is no model to generate with yet."""
    interrupt(directory, step=30)
    words = shlex.split(to_command(configure(directory, num_epochs=1), resume_from_checkpoint=True))
    assert cli.main([*words[1:], "--progress", "plain"]) == 0
    printed = capsys.readouterr().out
    assert "Already trained further" in printed
    assert f"The run in {directory} is not finished." in printed
    *_, last = printed.splitlines()
    assert last == f"  next: {to_command(configure(directory), resume_from_checkpoint=True)}"


def test_a_finished_training_gets_no_new_version_of_the_same_tensors(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer epochs, and with another learning rate but no epoch left to train."""
    monkeypatch.setattr(validation, "run", run_out)
    with pytest.raises(OutOfMemoryError):
        run_pipeline(configure(directory, num_epochs=2))
    before = hash_tree(directory)
    assert any(text.startswith("Already trained further") for text in resume(directory, num_epochs=1))
    (note,) = [text for text in resume(directory, num_epochs=2, learning_rate=1e-4) if "lready" in text]
    assert note.startswith("Already trained: all 2 epochs are done")
    assert hash_tree(directory) == before


def test_phase_4_alone_refuses_to_call_an_epoch_by_another_number(directory: Path) -> None:
    """When earlier phases have to run first, the mistake is found when the checkpoint is chosen."""
    interrupt(directory, step=30)
    (directory / names.CORPUS).unlink()
    with pytest.raises(IncompatibleError, match="already trained further"):
        resume(directory, num_epochs=1)
    assert not (directory / names.FINAL_MODEL).exists()
