"""A tiny model, trained once for all tests of exports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from semilla import cli
from semilla.export.trained import TrainedModel, read_run

TINY = (
    "--corpus-source sample --corpus-size-mb 1 --tokenizer-vocab-size 1000 --num-layers 2 --d-model 64 --num-heads 2 "
    "--dim-feedforward 128 --max-sequence-length 64 --num-epochs 1 --num-threads 1 --precision float32"
).split()  # fmt: skip


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; not to be changed."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    assert cli.main(["run", "--output-dir", str(directory), *TINY]) == 0
    return directory


@pytest.fixture(scope="session")
def trained(run_dir: Path) -> TrainedModel:
    return read_run(run_dir)[0]


@pytest.fixture
def own_run(run_dir: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, free to be damaged."""
    return Path(shutil.copytree(run_dir, tmp_path / "own run"))
