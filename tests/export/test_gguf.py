"""A GGUF file holds the network and the vocabulary as llama.cpp reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf as library
import numpy as np
import pytest
from tiny_models import make_model

from semilla.errors import IncompatibleError, ValidationFailureError
from semilla.export import QUANTIZATIONS, gguf
from semilla.export.trained_model import TrainedModel
from semilla.tokenizer.tokenizer import END_ID, NEWLINE_ID, UNKNOWN_ID


def read_fields(path: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in library.GGUFReader(path).fields.items()}


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_the_trained_model_passes_the_check(tmp_path: Path, trained: TrainedModel, quantization: str) -> None:
    """Fields, weights and logits agree in each number format: float32 exactly, the others within their rounding."""
    gguf.write(tmp_path, trained, quantization=quantization)
    fields, weights, logits = gguf.check(tmp_path, trained, quantization=quantization).comparisons[:3]
    assert fields.compared > 10
    assert weights.compared == len(trained.weights)
    assert (weights.difference == 0) == (quantization == "f32")
    assert logits.difference < {"f32": 1e-4, "f16": 0.05, "q8_0": 0.5}[quantization]


def test_the_file_overrides_the_defaults_of_llama_cpp(tmp_path: Path, trained: TrainedModel) -> None:
    """A unigram vocabulary is t5 there, whose defaults add a space, an end token and T5's special ids."""
    gguf.write(tmp_path, trained, quantization="f32")
    fields = read_fields(tmp_path / "model-f32.gguf")
    assert fields["general.architecture"] == "llama"
    assert fields["tokenizer.ggml.model"] == "t5"
    expected = {
        "bos_token_id": NEWLINE_ID, "eos_token_id": END_ID, "unknown_token_id": UNKNOWN_ID, "add_bos_token": True,
        "add_eos_token": False, "add_space_prefix": False, "remove_extra_whitespaces": False,
    }  # fmt: skip
    assert {name: fields[f"tokenizer.ggml.{name}"] for name in expected} == expected
    assert fields["llama.context_length"] == 64
    assert fields["llama.rope.dimension_count"] == 32


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_rows_are_reordered_for_rotations_of_neighbours(heads: int) -> None:
    """Row 2k of a head is our row k, row 2k + 1 is our row k + half; and the order can be undone."""
    width = 16
    rows = np.arange(width)[:, None].repeat(width, axis=1)
    laid = gguf.interleave_rows(rows, heads)[:, 0]
    half = width // heads // 2
    for head in range(heads):
        start = head * 2 * half
        for k in range(half):
            assert (laid[start + 2 * k], laid[start + 2 * k + 1]) == (start + k, start + k + half)
    assert (gguf.separate_rows(gguf.interleave_rows(rows, heads), heads) == rows).all()


def test_a_bpe_vocabulary_is_llamas_own_kind(tmp_path: Path) -> None:
    """BPE keeps its byte fallback in llama.cpp, so no note warns of unknown characters."""
    model = make_model(model_type="bpe")
    gguf.write(tmp_path, model, quantization="f32")
    assert read_fields(tmp_path / "model-f32.gguf")["tokenizer.ggml.model"] == "llama"
    assert gguf.NO_BYTES_NOTE not in gguf.check(tmp_path, model, quantization="f32").notes


def test_an_untied_output_layer_is_written(tmp_path: Path) -> None:
    model = make_model(tie_embeddings=False)
    gguf.write(tmp_path, model, quantization="f16")
    names = {tensor.name for tensor in library.GGUFReader(tmp_path / "model-f16.gguf").tensors}
    assert {"token_embd.weight", "output.weight"} <= names
    gguf.check(tmp_path, model, quantization="f16")


@pytest.mark.parametrize("model_type", ["char", "word"])
def test_tokenizers_that_llama_cpp_lacks_are_refused(tmp_path: Path, model_type: str) -> None:
    """The error names the way out, and nothing is written."""
    with pytest.raises(
        IncompatibleError, match=f"a {model_type} tokenizer cannot be exported to GGUF.*--to onnx"
    ):
        gguf.write(tmp_path, make_model(model_type=model_type), quantization="f32")
    assert list(tmp_path.iterdir()) == []


def test_q8_0_needs_dimensions_divisible_by_32(tmp_path: Path) -> None:
    """The error names the dimension and the way out, and the way out works."""
    model = make_model(d_model=72)
    with pytest.raises(IncompatibleError, match=r"d_model = 72; export with --quantization f16"):
        gguf.write(tmp_path, model, quantization="q8_0")
    gguf.write(tmp_path, model, quantization="f16")
    gguf.check(tmp_path, model, quantization="f16")


@pytest.mark.parametrize(
    ("name", "replacement", "reason"),
    [
        ("interleave_rows", lambda weight, heads: weight, "q_proj|k_proj"),
        ("END_ID", 3, "different value of tokenizer.ggml.eos_token_id"),
        ("TOKENIZER_MODELS", {"unigram": "llama"}, r"different value of tokenizer\.ggml\.model"),
    ],
    ids=["row order", "last token", "vocabulary kind"],
)
def test_a_wrong_file_is_found(
    tmp_path: Path,
    trained: TrainedModel,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    replacement: Any,
    reason: str,
) -> None:
    """A file with the defects that a bug in the writer could cause does not pass."""
    with monkeypatch.context() as slip:
        slip.setattr(gguf, name, replacement)
        gguf.write(tmp_path, trained, quantization="f32")
    with pytest.raises(ValidationFailureError, match=reason):
        gguf.check(tmp_path, trained, quantization="f32")
