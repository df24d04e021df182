"""Accelerate continues where Semilla's ranges end: same tokens, same losses, networks of other shapes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tiny_training import configure, prepare

from semilla.corpus.manifest import read_documents
from semilla.tokenizer.tokenizer import read_tokenizer
from semilla.training.data import build_data

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
SETTINGS = {
    "batch_size": 4,
    "length": 32,
    "num_layers": 1,
    "d_model": 64,
    "num_heads": 2,
    "dim_feedforward": 128,
}

pytest.importorskip("accelerate", reason="Accelerate comes with the extra bench")


@pytest.fixture(scope="module", autouse=True)
def _find_scripts() -> Iterator[None]:
    folders = [str(ROOT / "recipes"), str(ROOT / "benchmarks")]
    sys.path += folders
    yield
    for folder in folders:
        sys.path.remove(folder)


@pytest.fixture(scope="module")
def hand_over(_find_scripts: None) -> ModuleType:
    return importlib.import_module("hand_over")


@pytest.fixture(scope="module")
def train_llama(_find_scripts: None) -> ModuleType:
    return importlib.import_module("train_llama")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has its text and its tokenizer."""
    return prepare(tmp_path_factory.mktemp("hand-over"))


@pytest.fixture(scope="module")
def exported(hand_over: ModuleType, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tokenizer and the token file of the run."""
    from write_tokens import write_tokens

    folder = tmp_path_factory.mktemp("exported")
    (model_file,) = run.glob("*.model")
    hand_over.export_tokenizer(read_tokenizer(model_file), folder / "tokenizer.json")
    write_tokens(run, folder, tokenizer_file=folder / "tokenizer.json")
    return folder


def test_a_token_file_has_the_tokens_that_semilla_trains_on(run: Path, exported: Path) -> None:
    """The exported tokenizer gives the same ids as SentencePiece, and the index says where documents end."""
    config = configure(run)
    (model_file,) = run.glob("*.model")
    data = build_data(list(read_documents(run)), read_tokenizer(model_file), config)
    ids = np.fromfile(exported / "train.ds", "<u2")
    ends = np.fromfile(exported / "train.ds.index", "<u8")
    assert np.array_equal(ids, data.stream[:])
    assert np.array_equal(np.diff(ends, prepend=0).astype(int), data.document_sizes)


@pytest.mark.parametrize("num_layers", [1, 13])
def test_ten_steps_have_the_same_losses_in_both(hand_over: ModuleType, run: Path, num_layers: int) -> None:
    """Also with more layers than ``semilla run`` allows."""
    found = hand_over.compare(run, steps=10, **{**SETTINGS, "num_layers": num_layers})
    assert len(found["semilla"]) == len(found["accelerate"]) == 10
    assert found["semilla"][-1] < found["semilla"][0] - 0.1
    assert found["largest_difference"] < TOLERANCE


def test_a_slightly_different_optimizer_is_found(
    hand_over: ModuleType, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is sharp: half the weight decay changes the losses by more than the tolerance."""
    train_llama = importlib.import_module("train_llama")
    build = train_llama.build_optimizer
    monkeypatch.setattr(
        train_llama, "build_optimizer", lambda network, **_: build(network, weight_decay=0.05)
    )
    found = hand_over.compare(run, steps=10, **SETTINGS)
    assert found["largest_difference"] > TOLERANCE


def test_the_recipe_trains_a_shape_outside_the_ranges(
    train_llama: ModuleType,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A deeper network with fewer heads for keys than for queries; transformers loads it with its tokenizer."""
    import transformers

    (exported / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    shape = "--hidden-size 48 --num-layers 14 --num-heads 6 --num-kv-heads 2 --length 32 --batch-size 2 --steps 10"
    options = ["--tokenizer", str(exported), "--output", str(tmp_path / "large"), "--learning-rate", "0.003"]
    monkeypatch.setattr(sys, "argv", ["train_llama.py", *shape.split(), *options, str(exported / "train.ds")])
    train_llama.main()
    first, last = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()[-2:])
    assert last < first
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "large")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "large")
    assert network.config.num_hidden_layers == 14
    assert network.config.num_key_value_heads == 2
    assert len(tokenizer) == network.config.vocab_size


def test_rates_rise_and_fall(train_llama: ModuleType) -> None:
    """They reach the peak after a hundredth of the steps and end near zero."""
    rates = train_llama.plan_rates(1000, peak=0.5)
    assert len(rates) == 1000
    assert max(rates) == rates[9] == 0.5
    assert rates[0] == pytest.approx(0.05)
    assert 0 < rates[-1] < 0.02
