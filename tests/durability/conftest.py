"""Corpus and tokenizer are made once; each test gets a copy ready for training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import KnownPackages, configure, describe_end, prepare, train

from semilla.errors import OutOfMemoryError
from semilla.evaluation import gates
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import prerequisite_check, validation


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisite_check, "PackageProbe", KnownPackages)
    # Hardly anything is learned in so few steps.
    monkeypatch.setitem(gates.THRESHOLDS, "gain_over_frequencies", gates.Threshold("gate", ">=", -100.0))
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Corpus and tokenizer, made once."""
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def directory(_prepared: Path, tmp_path: Path) -> Path:
    """An output directory ready for training."""
    shutil.copy(_prepared.parent / "libro.txt", tmp_path)
    return Path(shutil.copytree(_prepared, tmp_path / "run"))


@pytest.fixture(scope="session")
def whole(_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of an undisturbed training."""
    directory = shutil.copytree(_prepared, tmp_path_factory.mktemp("whole") / "run")
    torch.set_num_threads(1)
    train(directory)
    return describe_end(directory)


def run_out(*arguments: object, **keywords: object) -> None:
    raise MemoryError


@pytest.fixture(scope="session")
def _trained(_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = Path(shutil.copytree(_prepared, tmp_path_factory.mktemp("trained") / "run"))
    shutil.copy(_prepared.parent / "libro.txt", directory.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prerequisite_check, "PackageProbe", KnownPackages)
        patch.setattr(validation, "run", run_out)
        with pytest.raises(OutOfMemoryError):
            run_pipeline(configure(directory, num_epochs=1))
    return directory


@pytest.fixture
def trained(_trained: Path, tmp_path: Path) -> Path:
    """An output directory with a finished training and no validation."""
    shutil.copy(_trained.parent / "libro.txt", tmp_path)
    return Path(shutil.copytree(_trained, tmp_path / "run"))
