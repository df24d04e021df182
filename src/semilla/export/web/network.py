"""The int8 network as the page holds it: two arrays, one of bytes and one of float32, and where everything is in them.

The bytes are those of the bundle's graph, so that the page computes what the runtime computes. Only their names and
their place change: ``network.js`` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from semilla.export.int8_graph import LARGEST_CODE, SYMMETRIC_ZERO

MATRICES = {
    r"model\.embed_tokens": "embedding",
    r"lm_head": "output",
    r"model\.layers\.(\d+)\.self_attn\.q_proj\+.*": r"layers.\1.qkv",
    r"model\.layers\.(\d+)\.self_attn\.o_proj": r"layers.\1.o",
    r"model\.layers\.(\d+)\.mlp\.gate_proj\+.*": r"layers.\1.gate_up",
    r"model\.layers\.(\d+)\.mlp\.down_proj": r"layers.\1.down",
}
"""Names of matrices in the graph -> in the page."""
GAINS = {
    r"model\.layers\.(\d+)\.input_layernorm": r"layers.\1.attention",
    r"model\.layers\.(\d+)\.post_attention_layernorm": r"layers.\1.mlp",
    r"model\.norm": "final",
}
"""Names of the normalisations in the graph -> in the page."""

Codes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]


@dataclass
class Pack:
    """Arrays one after the other, and the place of each."""

    codes: list[Codes] = field(default_factory=list)
    floats: list[Floats] = field(default_factory=list)
    matrices: dict[str, dict[str, int]] = field(default_factory=dict)
    vectors: dict[str, dict[str, int]] = field(default_factory=dict)

    def add_matrix(self, name: str, codes: Codes, scales: Floats, *, block: int) -> None:
        """Add a matrix [rows, columns], with its scales [rows, blocks] for ``block`` columns each."""
        rows, columns = codes.shape
        place = {"codes": sum(map(np.size, self.codes)), "scales": sum(map(np.size, self.floats))}
        self.matrices[name] = {"rows": rows, "columns": columns, "block": block, **place}
        self.codes.append(codes)
        self.floats.append(scales)

    def add_vector(self, name: str, values: Floats) -> None:
        self.vectors[name] = {"at": sum(map(np.size, self.floats)), "length": values.size}
        self.floats.append(values)

    def join(self) -> tuple[bytes, bytes]:
        """The bytes of all codes, and those of all float32 numbers, least significant byte first."""
        floats = np.concatenate([one.ravel() for one in self.floats]).astype("<f4")
        return np.concatenate([one.ravel() for one in self.codes]).tobytes(), floats.tobytes()

    def round_to(self, bits: int) -> Pack:
        """The same network with codes of ``bits`` bits, and with scales that are larger accordingly."""
        factor = LARGEST_CODE / (2 ** (bits - 1) - 1)
        ends = np.cumsum([one.size for one in self.floats])
        scales = {place["scales"] for place in self.matrices.values()}
        return Pack(
            [np.rint(one / factor).astype(np.int8) for one in self.codes],
            [
                one * np.float32(factor) if end - one.size in scales else one
                for one, end in zip(self.floats, ends, strict=True)
            ],
            self.matrices,
            self.vectors,
        )


def pack_network(graph: bytes, model: Mapping[str, Any]) -> Pack:
    """Pack the weights of a graph of ``semilla.export.int8_graph``; ``model`` uses the names of LlamaConfig."""
    tensors = {
        one.name: onnx.numpy_helper.to_array(one) for one in onnx.load_from_string(graph).graph.initializer
    }
    pack = Pack()
    for name, tensor in tensors.items():
        if name.endswith(".codes") and (known := _rename(name.removesuffix(".codes"), MATRICES)):
            scales = tensors[name.removesuffix("codes") + "scales"]
            columns = _count_columns(known, tensors, model)
            codes = tensor.reshape(len(tensor), -1)[:, :columns].astype(np.int16) - SYMMETRIC_ZERO
            pack.add_matrix(known, codes.astype(np.int8), scales, block=tensor.shape[-1])
        elif known := _rename(name, GAINS):
            pack.add_vector(known, tensor)
    return pack


def _count_columns(name: str, tensors: Mapping[str, npt.NDArray[Any]], model: Mapping[str, Any]) -> int:
    """The columns of a matrix without the zeros that fill its last block."""
    match name.rpartition(".")[2]:
        case "down":
            return int(model["intermediate_size"])
        case "o":  # as many as the queries have rows: heads may be padded
            return next(len(one) // 3 for key, one in tensors.items() if key.endswith("v_proj.codes"))
    return int(model["hidden_size"])


def _rename(name: str, names: Mapping[str, str]) -> str | None:
    found = ((re.fullmatch(pattern, name), new) for pattern, new in names.items())
    return next((match.expand(new) for match, new in found if match), None)
