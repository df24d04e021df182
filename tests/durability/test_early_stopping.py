"""A training that early stopping ends: the same bits after any kill, by one process and by several."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ranked import Launch, train_ranks
from small_runs import hash_tree
from tiny_training import On, configure, describe_end, in_child, resume, send_to_self, train

from semilla.errors import InterruptedRunError, ValidationFailureError
from semilla.events import EpochDone, Note, StepDone
from semilla.pipeline.main_job import run_pipeline
from semilla.records import names
from semilla.training import epoch
from semilla.training.evaluate import Evaluation, evaluate

STOPPING: dict[str, Any] = {"num_epochs": 6, "early_stopping": 1}
"""The second epoch is no better than the first, so the third, which cools down, is the last."""
SAVED = {"checkpoint_seconds": 1e-6}
PER_EPOCH = 13
"""Steps."""


def worsen(*arguments: Any, **keywords: Any) -> Evaluation:
    """A validation loss that rises while the network learns."""
    found = evaluate(*arguments, **keywords)
    return replace(found, loss=20 - found.loss)


@pytest.fixture(autouse=True)
def _worse(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(epoch, "evaluate", worsen)
    yield
    Launch.clear()


def list_events(listener: On, kind: type) -> list[Any]:
    return [event for event in listener.events if isinstance(event, kind)]


@pytest.fixture
def stopped(_prepared: Path, tmp_path: Path) -> tuple[dict[str, Any], On]:
    """The result of an undisturbed training, and what it reported."""
    directory = Path(shutil.copytree(_prepared, tmp_path / "stopped"))
    listener = On(StepDone, lambda: None)
    shutil.copy(_prepared.parent / "libro.txt", tmp_path)
    train(directory, progress=listener, **STOPPING)
    return describe_end(directory), listener


def test_it_says_when_and_why_it_ends(stopped: tuple[dict[str, Any], On]) -> None:
    """The display counts to the new end as soon as it is known."""
    _, listener = stopped
    assert len(list_events(listener, EpochDone)) == 3
    (note,) = [one.text for one in list_events(listener, Note) if one.text.startswith("Early stopping")]
    assert "after epoch 2 of 6 the validation loss had not improved for an epoch" in note
    assert "by epoch 3, the last" in note
    steps = list_events(listener, StepDone)
    assert [steps[place].total_epochs for place in (0, 2 * PER_EPOCH - 1, 2 * PER_EPOCH)] == [6, 6, 3]
    assert (steps[-1].step, steps[-1].total_steps) == (3 * PER_EPOCH, 3 * PER_EPOCH)


def test_kills_change_no_bit(directory: Path, stopped: tuple[dict[str, Any], On]) -> None:
    """In the epoch before the cool-down, between its last step and its evaluation, and twice in the cool-down."""
    for steps in (PER_EPOCH + 5, PER_EPOCH - 4, 4, 6):
        die = On(StepDone, send_to_self(signal.SIGKILL), nth=steps)
        killed = in_child(lambda die=die: resume(directory, progress=die, **STOPPING, **SAVED))
        assert killed == -signal.SIGKILL
    record = resume(directory, **STOPPING)
    assert describe_end(directory) == stopped[0]
    assert record.details["departures"] == []


def test_ranks_end_together(directory: Path) -> None:
    """Only rank 0 evaluates. A kill in the cool-down changes no bit."""
    settings = {**STOPPING, "optimizer": "muon"}
    other = Path(shutil.copytree(directory, directory.parent / "other" / "run"))
    launch = train_ranks(other, size=2, **settings)
    assert launch.wait() == [0, 0], launch.read_log(0)
    whole = describe_end(other)
    assert len(whole["losses"]["val_losses"]) == 3
    launch = train_ranks(directory, size=2, **settings, **SAVED)
    launch.wait_for_steps(2 * PER_EPOCH + 3, directory)
    launch.kill(1)
    assert launch.wait()[1] == -signal.SIGKILL
    launch = train_ranks(directory, size=2, restarts=1, resume_from_checkpoint=True, **settings, **SAVED)
    assert launch.wait() == [0, 0], launch.read_log(0)
    assert describe_end(directory) == whole


def test_workers_end_with_the_training(directory: Path) -> None:
    """Two processes share each step."""
    train(directory, num_threads=2, **STOPPING)
    assert len(describe_end(directory)["losses"]["val_losses"]) == 3


def test_a_training_that_was_stopped_is_finished(directory: Path) -> None:
    """More epochs bring nothing, and nothing changes; without early stopping it goes on. Its loss misses a gate."""
    with pytest.raises(ValidationFailureError):
        run_pipeline(configure(directory, **STOPPING))
    before = hash_tree(directory)
    listener = On(Note, lambda: None)
    run_pipeline(configure(directory, **STOPPING, learning_rate=1e-4), resume=True, listeners=[listener])
    run_pipeline(configure(directory, **{**STOPPING, "num_epochs": 8}), resume=True, listeners=[listener])
    told = [note.text for note in list_events(listener, Note) if "lready" in note.text]
    assert [text.partition(":")[0] for text in told] == 2 * ["Already trained"]
    assert "Continue with --early-stopping 0" in told[0]
    assert hash_tree(directory) == before
    with pytest.raises(ValidationFailureError):
        run_pipeline(configure(directory, num_epochs=4), resume=True)
    assert len(describe_end(directory)["losses"]["val_losses"]) == 4


def test_an_unfinished_training_is_past_its_end(directory: Path) -> None:
    """Early stopping, asked for when four epochs are done, would have ended the training after three."""
    stop = On(StepDone, send_to_self(signal.SIGTERM), nth=4 * PER_EPOCH + 2)
    with pytest.raises(InterruptedRunError):
        run_pipeline(configure(directory, num_epochs=6), listeners=[stop])
    listener = On(Note, lambda: None)
    run_pipeline(configure(directory, **STOPPING), resume=True, listeners=[listener])
    (told,) = [note.text for note in list_events(listener, Note) if "lready" in note.text]
    assert told.startswith("Already trained further: checkpoint_")
    assert "by epoch 3, the last" in told
    assert not (directory / names.FINAL_MODEL).exists()
