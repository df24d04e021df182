"""A tiny model, trained once for all tests of exports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from semilla import cli
from semilla.export.trained_model import TrainedModel, read_run
from semilla.stories import generate_corpus

TINY = (
    "--tokenizer-vocab-size 1000 --num-layers 2 --d-model 64 --num-heads 2 --dim-feedforward 128 --batch-size 8 "
    "--max-sequence-length 64 --num-epochs 1 --max-validation-loss 0.1 --num-threads 1 --precision float32"
).split()  # fmt: skip


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with finished training, not to be changed. It misses a gate, and can be exported nevertheless."""
    folder = tmp_path_factory.mktemp("trained")
    texts = folder / "my | texts"
    texts.mkdir()
    for document in generate_corpus(seed=0, size_bytes=80_000):
        (texts / f"{document.language}.txt").write_text(document.text, encoding="utf-8")
    words = ["run", "--output-dir", str(folder / "run"), "--corpus-source", str(texts)]
    assert cli.main([*words, *TINY]) == 5
    return folder / "run"


@pytest.fixture(scope="session")
def trained(run_dir: Path) -> TrainedModel:
    return read_run(run_dir)[0]


@pytest.fixture
def own_run(run_dir: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, which a test may damage."""
    return Path(shutil.copytree(run_dir, tmp_path / "own run"))
