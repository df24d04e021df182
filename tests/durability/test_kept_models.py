"""A finished model survives the training of the next one, wherever it is killed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from disk_faults import DiskFaults, kill
from tiny_training import configure, describe_end, in_child

from semilla.errors import OutOfMemoryError, SemillaError
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import validation
from semilla.records import names
from semilla.records.archive import list_models
from semilla.records.status import PipelineStatus, read_status
from semilla.training.checkpoints.seal import read_sealed

NUM_KILLS = 6
"""Of the system calls of a retraining, spread evenly; the first are those that put the earlier model aside."""


def run_out(*arguments: object, **keywords: object) -> None:
    raise OutOfMemoryError("memory ran out")


@pytest.fixture(autouse=True)
def _no_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the validation at once: only the training matters here."""
    monkeypatch.setattr(validation, "run", run_out)


def retrain(directory: Path, **changes: Any) -> PipelineStatus:
    """Train again in the directory of ``trained``, up to the validation."""
    with pytest.raises(OutOfMemoryError):
        run_pipeline(configure(directory, num_epochs=2, learning_rate=1e-3, **changes), resume=True)
    status = read_status(directory)
    assert status
    return status


def hash_models(folder: Path) -> dict[str, Any]:
    return {
        name: read_sealed(folder / name)["model_state"]["model.norm.weight"].tolist()
        for name in (names.BEST_MODEL, names.FINAL_MODEL)
    }


@pytest.fixture
def retrained(trained: Path, tmp_path: Path) -> Path:
    """The files of an undisturbed retraining."""
    whole = Path(shutil.copytree(trained, tmp_path / "whole"))
    retrain(whole)
    return whole


def test_a_killed_retraining_costs_neither_the_earlier_model_nor_a_bit_of_the_next(
    trained: Path, retrained: Path, tmp_path: Path
) -> None:
    """Kills during the copy and the training; repeating the command gives the undisturbed result."""
    first, expected = hash_models(trained), describe_end(retrained)
    with DiskFaults() as rehearsal:
        retrain(Path(shutil.copytree(trained, tmp_path / "rehearsal")))
    calls = len(rehearsal.names)
    moving = max(number for number, path in enumerate(rehearsal.paths) if f"/{names.MODELS}" in path)
    for at in [moving // 3, 2 * moving // 3, *range(moving, calls, (calls - moving) // NUM_KILLS)]:
        place = Path(shutil.copytree(trained, tmp_path / f"killed at {at}"))

        def die(place: Path = place, at: int = at) -> None:
            with DiskFaults(at=at, act=kill):
                retrain(place)

        assert in_child(die) == -9
        kept = [model.directory for model in list_models(place)]
        assert hash_models(kept[0] if kept else place) == first
        status = retrain(place)
        assert status.model_version == "1.0.1"
        assert describe_end(place) == expected
        assert [model.version for model in list_models(place)] == ["1.0.0"]
        assert hash_models(place / "models" / "1.0.0") == first
        assert not list(place.rglob(".semilla-*"))[1:]  # but for the lock


def test_every_checkpoint_of_the_training_contains_the_version(retrained: Path) -> None:
    """The models contain it as well, so each file says which model it belongs to."""
    paths = [
        retrained / names.BEST_MODEL,
        retrained / names.FINAL_MODEL,
        *retrained.glob(names.CHECKPOINT_PATTERN),
    ]
    assert {read_sealed(path)["provenance"]["model_version"] for path in paths} == {"1.0.1"}


def test_a_lost_status_does_not_begin_the_versions_again(retrained: Path) -> None:
    """The kept models still show the last version."""
    (retrained / names.STATUS).write_text("{}")
    status = retrain(retrained, seed=5)
    assert status.model_version == "1.0.1"
    assert f"models/1.0.0/{names.BEST_MODEL}" in status.artifacts_created


def test_a_model_that_was_not_changed_after_all_is_not_kept_twice(trained: Path) -> None:
    """A missing text makes everything stale; once it is back, the same model is reused."""
    source = trained.parent / "libro.txt"
    text = source.read_bytes()
    source.unlink()
    with pytest.raises(SemillaError):
        run_pipeline(configure(trained, num_epochs=1))
    source.write_bytes(text)
    assert retrain_the_same(trained).model_version == "1.0.0"
    assert list_models(trained, except_for="1.0.0") == []


def retrain_the_same(directory: Path) -> PipelineStatus:
    with pytest.raises(OutOfMemoryError):
        run_pipeline(configure(directory, num_epochs=1), resume=True)
    status = read_status(directory)
    assert status
    return status


def test_with_keep_models_0_a_note_says_that_the_model_is_not_kept(trained: Path) -> None:
    """With keep_models 0 no folder is made."""
    status = retrain(trained, keep_models=0)
    assert status.model_version == "1.0.1"
    assert not (trained / names.MODELS).exists()
    assert "Model 1.0.0 is not kept" in (trained / names.LOG).read_text()
