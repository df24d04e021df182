"""The folder loads in transformers, and gives the results of the trained model there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import make_model

from semilla.errors import IncompatibleError, ValidationFailureError
from semilla.export import huggingface
from semilla.export.trained_model import TrainedModel
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, NEWLINE_ID, UNKNOWN_ID


@pytest.fixture(scope="module")
def folder(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the trained model, not to be changed."""
    folder = tmp_path_factory.mktemp("huggingface")
    huggingface.write(folder, trained)
    return folder


@pytest.fixture(scope="module")
def network(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def test_every_held_out_line_has_the_same_ids_and_logits_are_close(
    folder: Path, trained: TrainedModel
) -> None:
    """All lines are compared, not a sample. Logits are within 1e-4 of the trained model's."""
    lines = trained.list_lines()
    ids, texts, logits = huggingface.compare_loaded(folder, trained, lines=lines)
    assert ids.compared == texts.compared == len(lines) > 50
    assert 0 < logits.difference <= 1e-4


def test_the_network_is_a_plain_llama_in_float32(network: Any, trained: TrainedModel) -> None:
    """It has the trained shape and number of parameters, and its output layer is tied."""
    assert type(network).__name__ == "LlamaForCausalLM"
    assert network.dtype == torch.float32
    assert network.num_parameters() == sum(weight.size for weight in trained.weights.values())
    assert network.lm_head.weight is network.model.embed_tokens.weight


def test_the_tokenizer_adds_nothing_and_knows_its_special_ids(tokenizer: Any) -> None:
    """It adds no tokens, takes names of control tokens as text, and can pad a batch."""
    assert tokenizer("\n").input_ids == [NEWLINE_ID]
    assert (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (
        UNKNOWN_ID,
        BEGIN_ID,
        END_ID,
    )
    assert not {UNKNOWN_ID, BEGIN_ID, END_ID} & set(tokenizer("<s> </s> <unk>").input_ids)
    short, long = tokenizer(["una", "una semilla"], padding=True).input_ids
    assert len(short) == len(long)


def test_generation_follows_the_settings_of_the_runtime(network: Any, tokenizer: Any) -> None:
    """Sampling with the defaults starts from a line break, and never writes a token that stands for no text."""
    torch.manual_seed(0)
    ids = network.generate(max_new_tokens=40)[0].tolist()
    assert ids[0] == NEWLINE_ID
    assert len(ids) > 1
    assert not {UNKNOWN_ID, BEGIN_ID} & set(ids)
    assert tokenizer.decode(ids).startswith("\n")


@pytest.mark.parametrize(
    "changes",
    [{"tie_embeddings": False}, {"num_heads": 2}, {"model_type": "bpe"}, {"model_type": "char"}],
    ids=str,
)
def test_every_shape_and_tokenizer_agrees(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The check passes for untied outputs, other numbers of heads, and each tokenizer that can be written."""
    model = make_model(**changes)
    huggingface.write(tmp_path, model)
    parity = huggingface.check(tmp_path, model)
    assert {"safetensors", "tokenizers", "transformers"} == {
        comparison.program.split()[0] for comparison in parity.comparisons
    }


def test_a_word_tokenizer_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(IncompatibleError, match="word tokenizer"):
        huggingface.write(tmp_path, make_model(model_type="word"))
    assert list(tmp_path.iterdir()) == []


def test_without_transformers_the_files_are_checked_and_the_report_says_so(
    folder: Path, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights and tokenizer are still compared, and a note says that nothing was loaded."""
    monkeypatch.setattr(huggingface, "find_spec", lambda name: None)
    parity = huggingface.check(folder, trained)
    assert [comparison.program.split()[0] for comparison in parity.comparisons] == [
        "safetensors",
        "tokenizers",
        "tokenizers",
    ]
    assert parity.notes == (huggingface.NOT_LOADED,)


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("config.json", {"rms_norm_eps": 0.1}, "logits of transformers"),
        ("config.json", {"rope_theta": 100.0, "rope_parameters": {"rope_theta": 100.0}}, "logits of transf"),
        ("tokenizer.json", {"pre_tokenizer": None}, "different ids"),
        ("tokenizer.json", {"decoder": None}, "decodes the ids"),
        ("tokenizer_config.json", {"split_special_tokens": False}, "transformers .* different ids"),
    ],
    ids=["norm", "positions", "spaces", "decoder", "control tokens"],
)
def test_a_wrong_file_is_found(
    tmp_path: Path, trained: TrainedModel, name: str, changes: dict[str, Any], reason: str
) -> None:
    """Each file, if wrong, makes the check fail, and the error says where."""
    huggingface.write(tmp_path, trained)
    change_json(tmp_path / name, **changes)
    with pytest.raises(ValidationFailureError, match=reason):
        huggingface.check(tmp_path, trained)
