"""Reads a Hugging Face folder of a Llama model with a SentencePiece tokenizer, so that a training can go on from it.

A Semilla tokenizer adds no space before a text and has a piece for a line break, where that of a Llama has the byte
``<0x0A>``. So the tokenizer is changed accordingly: the new piece gets the weights of that byte, and everything else
stays. Query heads that share their keys and values get copies of their own, which compute the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semilla.errors import IncompatibleError
from semilla.export.float32_graph import check_weights
from semilla.model.operators import NORM_EPSILON
from semilla.model.transformer import ROPE_THETA
from semilla.records.files import read_bytes, read_json
from semilla.tokenizer.model_file import check_structure
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, NEWLINE_ID, UNKNOWN_ID

CONFIGURATION, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.model"
MAX_WEIGHTS_BYTES = 1 << 30
"""Four times the largest shape that Semilla trains, in float32."""
LINE_BREAK_BYTE = "<0x0A>"
MAX_PIECES = 32_000
FIXED: Mapping[str, tuple[Any, Any]] = {
    "model_type": ("llama", None),
    "hidden_act": ("silu", "silu"),
    "attention_bias": (False, False),
    "mlp_bias": (False, False),
    "rms_norm_eps": (NORM_EPSILON, 1e-6),
    "rope_theta": (ROPE_THETA, ROPE_THETA),
    "rope_scaling": (None, None),
}
"""Field of LlamaConfig -> the value that Semilla's network has, and the value where the field is missing."""

Weights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class LlamaFolder:
    """A model as Semilla trains it: ``model`` uses the names of LlamaConfig, ``weights`` those of LlamaForCausalLM."""

    model: Mapping[str, Any]
    weights: Weights
    tokenizer_model: bytes
    sha256: str
    """Of the three files together."""


def read_llama_folder(directory: Path) -> LlamaFolder:
    """Read and convert a folder; raises IncompatibleError for a model that Semilla cannot go on with."""
    for name in (CONFIGURATION, WEIGHTS, TOKENIZER):
        if not (directory / name).is_file():
            raise IncompatibleError(
                f"{directory} has no {name}: a folder to start from has {CONFIGURATION}, {WEIGHTS} and {TOKENIZER}"
            )
    model = read_shape(directory / CONFIGURATION)
    data, tokenizer_model = (
        read_bytes(directory / WEIGHTS, limit=MAX_WEIGHTS_BYTES),
        read_bytes(directory / TOKENIZER),
    )
    converted, rows = convert_tokenizer(tokenizer_model, name=str(directory / TOKENIZER))
    weights = convert_weights(load_weights(data, name=str(directory / WEIGHTS)), model=model, rows=rows)
    shape = {**model, "vocab_size": len(rows)}
    check_weights(weights, model=shape)
    together = hashlib.sha256(read_bytes(directory / CONFIGURATION))
    together.update(data)
    together.update(tokenizer_model)
    return LlamaFolder(shape, weights, converted, together.hexdigest())


def read_shape(path: Path) -> dict[str, Any]:
    """The fields of ``config.json`` that shape the network; raises IncompatibleError for another architecture."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise IncompatibleError(f"{path} does not describe a model")
    content = {**content, **(content.get("rope_parameters") or {})}
    differing = [
        f"{name} is {content.get(name, absent)}, must be {value}"
        for name, (value, absent) in FIXED.items()
        if content.get(name, absent) != value
    ]
    try:
        model = {
            "vocab_size": int(content["vocab_size"]),
            "hidden_size": int(content["hidden_size"]),
            "intermediate_size": int(content["intermediate_size"]),
            "num_hidden_layers": int(content["num_hidden_layers"]),
            "num_attention_heads": int(content["num_attention_heads"]),
            "num_key_value_heads": int(content.get("num_key_value_heads") or content["num_attention_heads"]),
            "rms_norm_eps": NORM_EPSILON,
            "rope_theta": ROPE_THETA,
            "max_position_embeddings": int(content["max_position_embeddings"]),
            "tie_word_embeddings": bool(content.get("tie_word_embeddings", False)),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise IncompatibleError(f"{path} does not describe a Llama model: {error!r}") from error
    if content.get("head_dim") not in {None, model["hidden_size"] // model["num_attention_heads"]}:
        differing.append(f"head_dim is {content['head_dim']}, must be hidden_size / num_attention_heads")
    if differing:
        raise IncompatibleError(
            f"{path} describes a model that Semilla does not train: {'; '.join(differing)}"
        )
    return model


def load_weights(data: bytes, *, name: str) -> Weights:
    """Every tensor of a safetensors file in float32; raises IncompatibleError when it is none."""
    import torch  # noqa: PLC0415
    from safetensors import SafetensorError  # noqa: PLC0415 - of the extra export
    from safetensors.torch import load  # noqa: PLC0415

    try:
        return {key: tensor.to(torch.float32).numpy() for key, tensor in load(data).items()}
    except SafetensorError as error:
        raise IncompatibleError(f"{name} is no safetensors file: {error}") from error


def convert_weights(weights: Weights, *, model: dict[str, Any], rows: npt.NDArray[np.int64]) -> Weights:
    """The weights for the tokens ``rows`` [V], old ids by new id, with keys and values for every head."""
    groups = model["num_attention_heads"] // model.pop("num_key_value_heads")
    converted: Weights = {}
    for name, tensor in weights.items():
        kind = name.split(".")[-2]
        if kind == "lm_head" and model["tie_word_embeddings"]:
            continue
        if kind in {"embed_tokens", "lm_head"} and len(tensor) > rows.max():
            converted[name] = np.ascontiguousarray(tensor[rows])
        elif kind in {"k_proj", "v_proj"} and groups > 1:
            head_width = model["hidden_size"] // model["num_attention_heads"]
            heads = tensor.reshape(-1, head_width, tensor.shape[1])
            converted[name] = np.repeat(heads, groups, axis=0).reshape(-1, tensor.shape[1])
        elif kind != "rotary_emb":
            converted[name] = tensor
    return converted


def convert_tokenizer(model: bytes, *, name: str) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The tokenizer in Semilla's form, and the old id of each of its pieces.

    A Semilla tokenizer stays as it is. A vocabulary that is full loses its last piece to the line break.
    """
    from sentencepiece import sentencepiece_model_pb2  # noqa: PLC0415 - slow to import

    proto: Any = sentencepiece_model_pb2  # its classes are made when it is imported

    check_structure(model)
    parsed = proto.ModelProto.FromString(model)
    texts = [one.piece for one in parsed.pieces]
    rows = np.arange(len(texts))
    if len(texts) > NEWLINE_ID and texts[NEWLINE_ID] == "\n":
        return model, rows
    special = (parsed.trainer_spec.unk_id, parsed.trainer_spec.bos_id, parsed.trainer_spec.eos_id)
    if special != (UNKNOWN_ID, BEGIN_ID, END_ID) or LINE_BREAK_BYTE not in texts:
        raise IncompatibleError(
            f"{name} is not the tokenizer of a Llama: its special ids are {special}"
            f"{'' if LINE_BREAK_BYTE in texts else ', and it has no bytes'}"
        )
    rows = np.insert(rows, NEWLINE_ID, texts.index(LINE_BREAK_BYTE))[:MAX_PIECES]
    piece = proto.ModelProto.SentencePiece(
        piece="\n", score=0, type=proto.ModelProto.SentencePiece.USER_DEFINED
    )
    pieces = [piece if new == NEWLINE_ID else parsed.pieces[old] for new, old in enumerate(rows.tolist())]
    del parsed.pieces[:]
    parsed.pieces.extend(pieces)
    parsed.trainer_spec.vocab_size = len(pieces)
    parsed.normalizer_spec.add_dummy_prefix = False
    parsed.normalizer_spec.remove_extra_whitespaces = False
    return parsed.SerializeToString(), rows
