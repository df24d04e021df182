"""The network as it ships: int8 weights, and fused operators of ONNX Runtime.

Each weight is stored in one byte, symmetrically, with one float32 scale per output channel and LARGEST_BLOCK inputs.
Only weights are int8: norms, rotations, the KV cache and everything between operators is float32. Inside a product the
integer kernels round a row of activations to 8 bits, as llama.cpp does for Q8_0. On a processor without such kernels,
ONNX Runtime multiplies in float32.

With 11 operators per layer instead of 40, a token does not spend its time on starting operators. The attention writes
keys and values into the caller's KV cache in place. The graph also samples the next token
(``semilla.export.sampling``). The domain com.microsoft is part of every ONNX Runtime for CPUs;
``semilla.export.float32_graph`` writes the same network for any other reader.

A call reads T tokens of each of B texts. P, the number of tokens read before, may differ between the texts if T is 1.

Inputs:
    ``input_ids`` int64 [B, T]: tokens, read at positions P to P + T - 1
    ``last_position`` int32 [B]: P + T - 1
    ``length`` int32 []: the largest P + T
    ``scored`` int64 [S]: which of the T tokens to compute logits for; -1 is the last
    ``past.i.key``, ``past.i.value`` float32 [B, heads, context, head width], per layer; P rows are filled
    and the inputs of the sampling

Outputs:
    ``logits`` float32 [B, S, vocabulary]
    ``present.i.key``, ``present.i.value``: to be bound to the memory of the inputs of the same layer
    and the outputs of the sampling
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from semilla.export.float32_graph import (
    Graph,
    Weights,
    check_weights,
    compute_angles,
    describe_value,
    list_shapes,
)
from semilla.export.sampling import choose_token, describe_inputs, describe_outputs
from semilla.runtime.network import HEAD_MULTIPLE

FUSED = "com.microsoft"

LARGEST_BLOCK = 64
"""Weights of a row that share a scale: a power of two from 16 to 256.

Up to 64, the kernels give a text the same bits alone and beside others. With 128 and 256 they add in another order.
"""

SYMMETRIC_ZERO = 128
"""The byte for a weight of 0: the kernels take unsigned bytes."""

LARGEST_CODE = 127
"""The largest absolute value of a weight, as a number of steps."""

INTEGER_PRODUCTS = 4
"""The accuracy level that allows integer kernels. Without it each product unpacks its matrix: 40 times slower."""


def build_int8_graph(weights: Weights, *, model: Mapping[str, Any]) -> bytes:
    """Build the ONNX model of ``weights``, whose names are those of Hugging Face's LlamaForCausalLM.

    Raises what ``semilla.export.float32_graph.check_weights`` raises.
    """
    check_weights(weights, model=model)
    graph = _FusedGraph(weights, model)
    x, delta = graph.embed(), ""
    for layer in range(model["num_hidden_layers"]):
        x, delta = graph.attend(x, delta, layer)
        x, delta = graph.feed_forward(x, delta, layer)
    graph.project(x, delta)
    return graph.finish()


def quantize(matrix: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Round a matrix [N, K], padded with zeros, to bytes [N, blocks, block size] and scales [N, blocks]."""
    rows, columns = matrix.shape
    block = choose_block(columns)
    filled = np.zeros((rows, -(-columns // block), block), np.float32)
    filled.reshape(rows, -1)[:, :columns] = matrix
    steps = np.abs(filled).max(axis=2) / LARGEST_CODE
    # A step too small for float32 is treated as none: such weights become 0.
    scales = np.where(steps >= np.finfo(np.float32).tiny, steps, 1).astype(np.float32)
    whole = np.rint(filled / scales[:, :, None]).clip(-LARGEST_CODE, LARGEST_CODE)
    return (whole + SYMMETRIC_ZERO).astype(np.uint8), scales


def dequantize(matrix: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """A matrix [N, K] as it is after ``quantize``, in float32 again."""
    return np.ascontiguousarray(restore(*quantize(matrix))[:, : matrix.shape[1]])


def restore(codes: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The matrix of bytes [N, blocks, block size] and scales [N, blocks] in float32, with its padding."""
    values: npt.NDArray[np.float32] = (codes.astype(np.float32) - SYMMETRIC_ZERO) * scales[:, :, None]
    return values.reshape(len(codes), -1)


def choose_block(columns: int) -> int:
    """The smallest block that holds a whole row, or else the largest block."""
    return int(min(LARGEST_BLOCK, max(16, 1 << (columns - 1).bit_length())))


def read_int8_weights(graph: bytes, *, model: Mapping[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of a graph that ``build_int8_graph`` wrote, in float32 and with the names it was given."""
    tensors = {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(graph).graph.initializer}
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for key, tensor in tensors.items():
        if not key.endswith(".codes"):
            continue
        stacked = key.removesuffix(".codes")
        values, parts = restore(tensor, tensors[f"{stacked}.scales"]), stacked.split("+")
        for name, part in zip(parts, np.split(values, len(parts)), strict=True):
            weights[f"{name}.weight"] = part
    shapes = list_shapes(model)
    for name, shape in shapes.items():
        if len(shape) == 1:
            weights[name] = tensors[name.removesuffix(".weight")]
        else:
            weights[name] = _narrow_heads(name, weights[name], model["num_attention_heads"], shape)
    return {name: np.ascontiguousarray(weights[name]) for name in shapes}


def _narrow_heads(
    name: str, matrix: npt.NDArray[np.float32], heads: int, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """The matrix of ``shape`` without the zeros that fill its last block, and those that widen its heads."""
    kind = name.split(".")[-2]
    if kind == "o_proj":
        return _narrow_heads("v_proj.weight", matrix.T, heads, shape[::-1]).T
    if kind not in {"q_proj", "k_proj", "v_proj"}:
        return matrix[:, : shape[1]]
    parts = 1 if kind == "v_proj" else 2
    narrow = shape[0] // heads
    wide = -(-narrow // HEAD_MULTIPLE) * HEAD_MULTIPLE
    split = matrix[: heads * wide].reshape(heads, parts, wide // parts, -1)[:, :, : narrow // parts]
    return split.reshape(shape[0], -1)[:, : shape[1]]


class _FusedGraph(Graph):
    def __init__(self, weights: Weights, model: Mapping[str, Any]) -> None:
        super().__init__(weights, model)
        self.scale = self.head_width**-0.5
        narrow = self.head_width
        self.head_width = -(-narrow // HEAD_MULTIPLE) * HEAD_MULTIPLE
        if self.head_width != narrow:
            self.weights = {name: self._widen_heads(name, matrix) for name, matrix in weights.items()}

    def _widen_heads(self, name: str, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Pad the heads of an attention matrix with zeros: queries and keys per half, because halves are rotated."""
        kind = name.split(".")[-2]
        if kind == "o_proj":
            return self._widen_heads("v_proj.weight", matrix.T).T
        if kind not in {"q_proj", "k_proj", "v_proj"}:
            return matrix
        parts = 1 if kind == "v_proj" else 2
        split = matrix.reshape(self.heads, parts, -1, self.width)
        missing = self.head_width // parts - split.shape[2]
        filled = np.pad(split, ((0, 0), (0, 0), (0, missing), (0, 0)))
        return filled.reshape(-1, self.width)

    def add_quantized(self, *names: str) -> tuple[str, str, npt.NDArray[Any]]:
        """Stack the matrices ``names``; return the names of their bytes and scales, and the stacked matrix."""
        matrix = np.concatenate([self.weights[f"{name}.weight"] for name in names])
        name = "+".join(names)
        if f"{name}.codes" not in self.constants:
            codes, scales = quantize(matrix)
            self.const(f"{name}.codes", codes)
            self.const(f"{name}.scales", scales)
        return f"{name}.codes", f"{name}.scales", matrix

    def multiply(self, x: str, *names: str, to: str | None = None) -> str:
        codes, scales, matrix = self.add_quantized(*names)
        rows, columns = matrix.shape
        sizes = {"N": rows, "K": columns, "bits": 8, "block_size": choose_block(columns)}
        return self.add(
            "MatMulNBits", x, codes, scales, domain=FUSED, to=to, accuracy_level=INTEGER_PRODUCTS, **sizes
        )

    def embed(self) -> str:
        """Embed the tokens [B, T, width], from the bytes that a tied output layer reads as well."""
        codes, scales, matrix = self.add_quantized("model.embed_tokens")
        block = choose_block(matrix.shape[1])
        blocks = -(-self.width // block)
        by_block = self.reshape(scales, len(matrix), blocks, 1)
        rows = self.add(
            "GatherBlockQuantized",
            codes,
            "input_ids",
            by_block,
            domain=FUSED,
            gather_axis=0,
            quantize_axis=2,
            block_size=block,
            bits=8,
        )
        whole = self.reshape(rows, 0, 0, blocks * block)
        if blocks * block == self.width:
            return whole
        return self.split(whole, [self.width, blocks * block - self.width], axis=-1)[0]

    def add_and_normalize(self, x: str, delta: str, name: str) -> tuple[str, str]:
        """Add ``delta``, if any, to the residual stream ``x``. Return the sum and its RMSNorm."""
        if not delta:
            return x, self.normalize(x, name)
        total, normed = f"sum_{len(self.nodes)}", f"normed_{len(self.nodes)}"
        gain = self.const(name, self.weights[f"{name}.weight"])
        self.nodes.append(
            helper.make_node(
                "SkipSimplifiedLayerNormalization",
                [x, delta, gain],
                [normed, "", "", total],
                domain=FUSED,
                epsilon=self.model["rms_norm_eps"],
            )
        )
        return total, normed

    def attend(self, x: str, delta: str, layer: int) -> tuple[str, str]:
        prefix = f"model.layers.{layer}"
        x, normed = self.add_and_normalize(x, delta, f"{prefix}.input_layernorm")
        qkv = self.multiply(normed, *(f"{prefix}.self_attn.{name}_proj" for name in "qkv"))
        angles = compute_angles(self.model)
        padded = np.pad(angles, ((0, 0), (0, self.head_width // 2 - angles.shape[1])))
        tables = [self.const("cosines", np.cos(padded)), self.const("sines", np.sin(padded))]
        kinds = ("key", "value")
        past = [f"past.{layer}.{kind}" for kind in kinds]
        mixed = f"mixed_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [qkv, "", "", *past, "last_position", "length", *tables],
                [mixed, *(f"present.{layer}.{kind}" for kind in kinds)],
                domain=FUSED,
                num_heads=self.heads,
                kv_num_heads=self.heads,
                scale=self.scale,
                do_rotary=1,
            )
        )
        return x, self.multiply(mixed, f"{prefix}.self_attn.o_proj")

    def feed_forward(self, x: str, delta: str, layer: int) -> tuple[str, str]:
        prefix = f"model.layers.{layer}"
        x, normed = self.add_and_normalize(x, delta, f"{prefix}.post_attention_layernorm")
        both = self.multiply(normed, f"{prefix}.mlp.gate_proj", f"{prefix}.mlp.up_proj")
        gate, up = self.split(both, [self.model["intermediate_size"]] * 2, axis=-1)
        swish = self.add("QuickGelu", gate, domain=FUSED, alpha=1.0)
        return x, self.multiply(self.add("Mul", swish, up), f"{prefix}.mlp.down_proj")

    def project(self, x: str, delta: str) -> None:
        _, normed = self.add_and_normalize(x, delta, "model.norm")
        rows = self.add("Gather", normed, "scored", axis=1)
        tied = self.model["tie_word_embeddings"]
        choose_token(self, self.multiply(rows, "model.embed_tokens" if tied else "lm_head", to="logits"))

    def finish(self) -> bytes:
        shape = ("B", self.heads, self.model["max_position_embeddings"], self.head_width)
        inputs = [
            describe_value("input_ids", "B", "T", kind=TensorProto.INT64),
            describe_value("last_position", "B", kind=TensorProto.INT32),
            describe_value("length", kind=TensorProto.INT32),
            describe_value("scored", "S", kind=TensorProto.INT64),
            *describe_inputs(shape[2]),
            *(describe_value(f"past.{name}", *shape) for name in self.caches),
        ]
        outputs = [
            describe_value("logits", "B", "S", self.model["vocab_size"]),
            *describe_outputs(),
            *(describe_value(f"present.{name}", *shape) for name in self.caches),
        ]
        return self.serialize(inputs, outputs, FUSED)
