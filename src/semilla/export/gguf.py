"""A GGUF file for llama.cpp: network and vocabulary in one file.

Traps, each found in llama.cpp's source and confirmed with ``scripts/check-llama-cpp``:

- llama.cpp calls a unigram vocabulary ``t5``; ``llama`` means BPE. The defaults are T5's, so every special id and every
  switch is written out. A unigram vocabulary has no byte fallback there: a character that no piece covers becomes
  ``<unk>`` and is lost.
- llama.cpp rotates neighbouring pairs (2k, 2k + 1); Hugging Face and this project rotate the pairs (k, k + half). So
  the rows of the query and key matrices are reordered.
- Text starts as in ``semilla generate``: with the begin token, or with a line break where the model saw few documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from semilla.errors import IncompatibleError
from semilla.export.float32_graph import Weights, build_graph
from semilla.export.onnx_folder import open_scorer
from semilla.export.parity import (
    LARGEST_LOGIT_DIFFERENCE,
    Parity,
    compare_fields,
    compare_logits,
    compare_weights,
)
from semilla.export.trained_model import TrainedModel
from semilla.export.vocabulary import Vocabulary
from semilla.tokenizer.tokenizer import END_ID, UNKNOWN_ID

USE = """```sh
llama-cli -m FILE.gguf -no-cnv --temp 0.8 --top-k 40 --top-p 0.95 --repeat-penalty 1.1 -n 200 -p "Once upon a time"
```

or in Python, with llama-cpp-python:

```python
from llama_cpp import Llama

model = Llama("FILE.gguf")
print(model("Once upon a time", max_tokens=200, temperature=0.8)["choices"][0]["text"])
```

The file tells llama.cpp which token a text starts with, and which one ends it."""

Array = npt.NDArray[Any]
Type = gguf.GGMLQuantizationType

QUANTIZATIONS: dict[str, tuple[Type, gguf.LlamaFileType]] = {
    "f32": (Type.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (Type.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (Type.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
BLOCK = 32
"""How many numbers share a scale in Q8_0."""
TOKENIZER_MODELS = {"unigram": "t5", "bpe": "llama"}
"""SentencePiece algorithm -> its name in llama.cpp."""
LARGEST_ERRORS = {"f32": 0.0, "f16": 2.0**-11, "q8_0": (0.5 + 127 / 2**11) / 127}
"""Rounding error, relative to the largest of 32 weights. q8_0: half of 127 steps, and the f16 rounding of the step."""
PROGRAM = f"gguf {version('gguf')}"
NOT_LOADED = (
    "llama-cpp-python is not installed, so the file was not loaded with llama.cpp itself; "
    "scripts/check-llama-cpp does that"
)
NO_BYTES_NOTE = (
    "llama.cpp has no byte fallback for unigram vocabularies: "
    "a character that is not in the training text becomes <unk>"
)


def check_fit(model: Mapping[str, Any], vocabulary: Vocabulary, *, quantization: str) -> None:
    """Raise IncompatibleError, with the way out, if the format cannot hold such a model."""
    if vocabulary.model_type not in TOKENIZER_MODELS:
        raise IncompatibleError(
            f"a {vocabulary.model_type} tokenizer cannot be exported to GGUF: llama.cpp supports only "
            f"{' and '.join(TOKENIZER_MODELS)}; train with one of them, or export --to onnx"
        )
    uneven = [
        f"{name} = {model[key]}"
        for name, key in (("d_model", "hidden_size"), ("dim_feedforward", "intermediate_size"))
        if model[key] % BLOCK
    ]
    if quantization == "q8_0" and uneven:
        raise IncompatibleError(
            f"q8_0 needs dimensions divisible by {BLOCK}, but {' and '.join(uneven)}; "
            "export with --quantization f16"
        )


def write(folder: Path, trained: TrainedModel, *, quantization: str) -> None:
    """Write the file: matrices in ``quantization``, norms in float32, as llama.cpp's own converter does."""
    check_fit(trained.model, trained.vocabulary, quantization=quantization)
    kind, file_type = QUANTIZATIONS[quantization]
    path = folder / name_file(quantization)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.LLAMA])
    try:
        writer.add_name("semilla")
        writer.add_file_type(file_type)
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_shape(writer, trained.model)
        _add_fields(writer, describe_fields(trained))
        for name, weight in arrange_tensors(trained.weights, model=trained.model):
            raw_dtype = kind if weight.ndim == 2 else Type.F32
            writer.add_tensor(name, gguf.quants.quantize(weight, raw_dtype), raw_dtype=raw_dtype)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def check(folder: Path, trained: TrainedModel, *, quantization: str) -> Parity:
    """Read the file back and compare; ValidationFailureError when a field, a weight or the logits differ.

    Our own graph computes the logits, from the weights in the file. If llama-cpp-python is installed, llama.cpp
    computes them as well.
    """
    path = folder / name_file(quantization)
    content = read_gguf(path, trained)
    graph = build_graph(content.weights, model=trained.model)
    limit = LARGEST_LOGIT_DIFFERENCE if quantization == "f32" else None
    comparisons = [
        compare_fields(content.fields, describe_fields(trained), program=PROGRAM),
        compare_weights(
            content.weights, trained, program=PROGRAM, block=BLOCK, limit=LARGEST_ERRORS[quantization]
        ),
        compare_logits(open_scorer(graph), trained, program="the weights read back", limit=limit),
    ]
    notes = [NO_BYTES_NOTE] if trained.vocabulary.model_type == "unigram" else []
    if find_spec("llama_cpp") is None:
        return Parity(tuple(comparisons), (*notes, NOT_LOADED))
    from semilla.export.llama_cpp import compare_loaded  # noqa: PLC0415 - rarely installed

    return Parity((*comparisons, *compare_loaded(path, trained, limit=limit)), tuple(notes))


def name_file(quantization: str) -> str:
    return f"model-{quantization}.gguf"


def arrange_tensors(weights: Weights, *, model: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
    """Yield the tensors with llama.cpp's names and row order. A tied output layer has no tensor of its own."""
    for name, llama_name in _name_tensors(weights, model):
        weight = np.ascontiguousarray(weights[name], dtype=np.float32)
        if _is_rotated(name):
            weight = interleave_rows(weight, model["num_attention_heads"])
        yield llama_name, weight


def _is_rotated(name: str) -> bool:
    return ".q_proj." in name or ".k_proj." in name


def interleave_rows(weight: Array, heads: int) -> Array:
    """Make rows k and k + half of every head neighbours, in a matrix [width, width]."""
    rows = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(weight.shape)


def separate_rows(weight: Array, heads: int) -> Array:
    """Undo ``interleave_rows``."""
    rows = weight.reshape(heads, -1, 2, weight.shape[1])
    return np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(weight.shape)


@dataclass(frozen=True)
class GgufContent:
    """A file's content: fields as plain values; weights dequantised, with Hugging Face's names and row order."""

    fields: dict[str, Any]
    weights: dict[str, Array]


def read_gguf(path: Path, trained: TrainedModel) -> GgufContent:
    """Read back a file that was written for ``trained``."""
    model = trained.model
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    found = {}
    for name, llama_name in _name_tensors(trained.weights, model):
        tensor = tensors[llama_name]
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        found[name] = separate_rows(weight, model["num_attention_heads"]) if _is_rotated(name) else weight
    return GgufContent(fields, found)


def describe_fields(trained: TrainedModel) -> dict[str, Any]:
    """The model's version, and every field of the tokenizer as llama.cpp reads it."""
    vocabulary = trained.vocabulary
    pieces = vocabulary.pieces
    keys = gguf.Keys.Tokenizer
    return {
        gguf.Keys.General.VERSION: trained.version,
        keys.MODEL: TOKENIZER_MODELS[vocabulary.model_type],
        keys.PRE: "default",
        keys.LIST: [piece.text for piece in pieces],
        keys.SCORES: [float(np.float32(piece.score)) for piece in pieces],
        keys.TOKEN_TYPE: [int(piece.kind) for piece in pieces],
        keys.BOS_ID: trained.start_id,
        keys.EOS_ID: END_ID,
        keys.UNK_ID: UNKNOWN_ID,
        keys.PAD_ID: END_ID,
        keys.ADD_BOS: True,
        keys.ADD_EOS: False,
        keys.ADD_PREFIX: False,
        keys.REMOVE_EXTRA_WS: False,
    }


def _add_fields(writer: gguf.GGUFWriter, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        match value:
            case bool():
                writer.add_bool(key, value)
            case int():
                writer.add_uint32(key, value)
            case str():
                writer.add_string(key, value)
            case list():
                writer.add_array(key, value)


def _add_shape(writer: gguf.GGUFWriter, model: Mapping[str, Any]) -> None:
    heads = model["num_attention_heads"]
    writer.add_vocab_size(model["vocab_size"])
    writer.add_context_length(model["max_position_embeddings"])
    writer.add_embedding_length(model["hidden_size"])
    writer.add_block_count(model["num_hidden_layers"])
    writer.add_feed_forward_length(model["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(model["rms_norm_eps"])
    writer.add_rope_dimension_count(model["hidden_size"] // heads)
    writer.add_rope_freq_base(model["rope_theta"])


def _name_tensors(weights: Weights, model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model["num_hidden_layers"])
    for name in weights:
        llama_name = names.get_name(name, try_suffixes=(".weight",))
        assert llama_name, f"llama.cpp has no name for {name}"
        yield name, llama_name
