"""The network in float32 as an ONNX graph of standard operators only, for exports.

``semilla.export.int8_graph`` is the graph that ships to a device.

One call reads T tokens at positions P, P + 1, ... and takes the keys and values of the P tokens before them. The KV
cache belongs to the caller: the graph reads its first P rows and returns only the T new ones, so no step copies what
grows with the context. On x86_64, compared with a graph that returns the whole concatenated cache, a step at the end
of the context takes 0.9 times as long at the default shape, and 0.6 times at 4 layers of width 256 and 512 tokens;
and only one cache is held in memory.

Inputs:
    ``input_ids`` int64 [1, T]
    ``past.i.key``, ``past.i.value`` float32 [P, hidden_size], for each layer i

Outputs:
    ``logits`` float32 [1, vocab_size] of the last token, or [T, vocab_size] of all
    ``new.i.key`` (already rotated), ``new.i.value`` float32 [T, hidden_size], for each layer i
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from semilla import __version__
from semilla.errors import IncompatibleError, IntegrityError

Weights: TypeAlias = Mapping[str, npt.NDArray[Any]]

# Every onnxruntime since 1.11 reads it. The next opset only moves an attribute of ReduceMean to an input.
OPSET = 17
IR_VERSION = 8

# Not minus infinity, because it is added to a score. exp(-1e30) is 0 in float32.
MASKED = -1e30


def build_graph(
    weights: Weights, *, model: Mapping[str, Any], version: str = "", all_positions: bool = False
) -> bytes:
    """Build the ONNX model of ``weights``, whose names are those of Hugging Face's LlamaForCausalLM.

    ``model`` uses the names of LlamaConfig. ``version`` is the model's and becomes a property of the graph. With
    ``all_positions`` the graph returns the logits of every token. Raises what ``check_weights`` raises.
    """
    check_weights(weights, model=model)
    graph = _StandardGraph(weights, model)
    x = graph.embed()
    for layer in range(model["num_hidden_layers"]):
        x = graph.attend(x, layer)
        x = graph.feed_forward(x, layer)
    graph.project(x if all_positions else graph.add("Gather", x, graph.const("last", [-1]), axis=0))
    return graph.finish(version, all_positions=all_positions)


def list_shapes(model: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """List the name and shape of every tensor of a model."""
    width, hidden = model["hidden_size"], model["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (model["vocab_size"], width)}
    for layer in range(model["num_hidden_layers"]):
        block = {f"self_attn.{name}_proj": (width, width) for name in "qkvo"}
        block |= {
            "mlp.gate_proj": (hidden, width),
            "mlp.up_proj": (hidden, width),
            "mlp.down_proj": (width, hidden),
        }
        norms = {"input_layernorm": (width,), "post_attention_layernorm": (width,)}
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in (block | norms).items()}
    shapes["model.norm.weight"] = (width,)
    if not model["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (model["vocab_size"], width)
    return shapes


def check_weights(weights: Weights, *, model: Mapping[str, Any]) -> None:
    """Raise IncompatibleError for a missing tensor or wrong shape, IntegrityError for NaN or infinity."""
    for name, shape in list_shapes(model).items():
        if name not in weights:
            raise IncompatibleError(f"the model lacks the tensor {name}, which its configuration requires")
        if weights[name].shape != shape:
            raise IncompatibleError(
                f"tensor {name} has shape {weights[name].shape}, but its configuration says {shape}"
            )
        if not np.isfinite(weights[name]).all():
            raise IntegrityError(f"tensor {name} holds NaN or infinity")


class Graph:
    """A graph under construction: nodes and constants. Values are referred to by name, as in ONNX."""

    def __init__(self, weights: Weights, model: Mapping[str, Any]) -> None:
        self.weights = weights
        self.model = model
        self.heads: int = model["num_attention_heads"]
        self.width: int = model["hidden_size"]
        self.head_width = self.width // self.heads
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Append a node with one output and return the output's name: ``to``, or one made from its index."""
        output = to or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def cast(self, x: str, kind: int) -> str:
        output = f"cast_{len(self.nodes)}"
        self.nodes.append(helper.make_node("Cast", [x], [output], to=kind))
        return output

    def split(self, x: str, sizes: Sequence[int], *, axis: int) -> list[str]:
        outputs = [f"split_{len(self.nodes)}_{part}" for part in range(len(sizes))]
        lengths = self.const("sizes_" + "_".join(map(str, sizes)), sizes)
        self.nodes.append(helper.make_node("Split", [x, lengths], outputs, axis=axis))
        return outputs

    def const(self, name: str, value: npt.ArrayLike) -> str:
        """Add a constant once and return its name. Integers become int64, bytes stay, all else is float32."""
        if name not in self.constants:
            array = np.asarray(value)
            kinds: dict[str, npt.DTypeLike] = {"i": np.int64, "u": np.uint8}
            array = array.astype(kinds.get(array.dtype.kind, np.float32), order="C")
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def reshape(self, x: str, *shape: int) -> str:
        return self.add("Reshape", x, self.const("shape_" + "_".join(map(str, shape)), shape))

    def normalize(self, x: str, name: str) -> str:
        """RMSNorm, in the one arrangement of nodes that onnxruntime fuses into a single kernel."""
        square = self.add("Pow", x, self.const("two", 2.0))
        mean = self.add("ReduceMean", square, axes=[-1], keepdims=1)
        root = self.add("Sqrt", self.add("Add", mean, self.const("epsilon", self.model["rms_norm_eps"])))
        return self.add("Mul", self.add("Div", x, root), self.const(name, self.weights[f"{name}.weight"]))

    @property
    def caches(self) -> list[str]:
        layers = range(self.model["num_hidden_layers"])
        return [f"{layer}.{kind}" for layer in layers for kind in ("key", "value")]

    def serialize(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        *domains: str,
        version: str = "",
    ) -> bytes:
        """Check and serialize the graph. ``domains`` hold its non-standard operators, each in version 1."""
        graph = helper.make_graph(self.nodes, "semilla", inputs, outputs, list(self.constants.values()))
        whole = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), *(helper.make_opsetid(one, 1) for one in domains)],
            ir_version=IR_VERSION,
            producer_name="semilla",
            producer_version=__version__,
        )
        if version:  # ONNX's own version field holds a single integer
            helper.set_model_props(whole, {"model_version": version})
        onnx.checker.check_model(whole)
        serialized: bytes = whole.SerializeToString()
        return serialized


class _StandardGraph(Graph):
    def multiply(self, x: str, *names: str) -> str:
        """Multiply the rows of ``x`` by the matrices ``names``, concatenated into one product."""
        matrix = np.concatenate([self.weights[f"{name}.weight"] for name in names])
        return self.add("MatMul", x, self.const("+".join(names), matrix.T))

    def embed(self) -> str:
        """Embed the tokens [T, width]. Also compute what all layers share: rotations and the causal mask."""
        ids = self.reshape("input_ids", -1)
        past = self.add("Shape", "past.0.key", end=1)
        new = self.add("Shape", ids)
        end = self.add("Add", past, new)
        cosines, sines = compute_rotations(self.model)
        for name, table in (("cosines", cosines), ("sines", sines)):
            whole = self.const(f"all_{name}", table)
            self.add("Slice", whole, past, end, self.const("axis_0", [0]), to=name)
        full = self.add(
            "ConstantOfShape",
            self.add("Concat", new, end, axis=0),
            value=numpy_helper.from_array(np.array([MASKED], np.float32)),
        )
        # New token t is at position P + t and sees positions 0 to P + t.
        first_hidden = self.add("Squeeze", self.add("Add", past, self.const("one", [1])))
        self.add("Trilu", full, first_hidden, upper=1, to="mask")
        return self.add("Gather", self.const("embedding", self.weights["model.embed_tokens.weight"]), ids)

    def rotate(self, x: str) -> str:
        """Rotate queries and keys [T, n, head_width] by their position. The sine table carries the signs."""
        first, second = self.split(x, [self.head_width // 2] * 2, axis=-1)
        swapped = self.add("Concat", second, first, axis=-1)
        return self.add("Add", self.add("Mul", x, "cosines"), self.add("Mul", swapped, "sines"))

    def attend(self, x: str, layer: int) -> str:
        names = [f"model.layers.{layer}.self_attn.{name}_proj" for name in "qkv"]
        normed = self.normalize(x, f"model.layers.{layer}.input_layernorm")
        qkv = self.reshape(self.multiply(normed, *names), 0, 3 * self.heads, self.head_width)
        qk, value = self.split(qkv, [2 * self.heads, self.heads], axis=1)
        query, key = self.split(self.rotate(qk), [self.heads, self.heads], axis=1)
        keys = self.append_to_cache(key, f"{layer}.key")
        values = self.append_to_cache(value, f"{layer}.value")
        scaled = self.add("Mul", query, self.const("scale", self.head_width**-0.5))
        scores = self.add("MatMul", self.transpose(scaled, 1, 0, 2), self.transpose(keys, 1, 2, 0))
        shares = self.add("Softmax", self.add("Add", scores, "mask"), axis=-1)
        mixed = self.transpose(self.add("MatMul", shares, self.transpose(values, 1, 0, 2)), 1, 0, 2)
        rows = self.reshape(mixed, 0, self.width)
        return self.add("Add", x, self.multiply(rows, f"model.layers.{layer}.self_attn.o_proj"))

    def append_to_cache(self, x: str, name: str) -> str:
        """Output ``x`` [T, heads, head_width] as new rows; return all rows, [P + T, heads, head_width]."""
        rows = self.add("Reshape", x, self.const("rows", [0, self.width]), to=f"new.{name}")
        return self.reshape(self.add("Concat", f"past.{name}", rows, axis=0), 0, self.heads, self.head_width)

    def transpose(self, x: str, *order: int) -> str:
        return self.add("Transpose", x, perm=order)

    def feed_forward(self, x: str, layer: int) -> str:
        prefix = f"model.layers.{layer}.mlp"
        normed = self.normalize(x, f"model.layers.{layer}.post_attention_layernorm")
        both = self.multiply(normed, f"{prefix}.gate_proj", f"{prefix}.up_proj")
        gate, up = self.split(both, [self.model["intermediate_size"]] * 2, axis=-1)
        swish = self.add("Mul", gate, self.add("Sigmoid", gate))
        return self.add("Add", x, self.multiply(self.add("Mul", swish, up), f"{prefix}.down_proj"))

    def project(self, x: str) -> None:
        """Compute the logits. Gemm reads the tied embedding as it is, without a transposed copy."""
        tied = self.model["tie_word_embeddings"]
        matrix = "embedding" if tied else self.const("lm_head", self.weights["lm_head.weight"])
        self.add("Gemm", self.normalize(x, "model.norm"), matrix, transB=1, to="logits")

    def finish(self, version: str, *, all_positions: bool) -> bytes:
        inputs = [describe_value("input_ids", 1, "T", kind=TensorProto.INT64)]
        inputs += [describe_value(f"past.{name}", "P", self.width) for name in self.caches]
        outputs = [describe_value("logits", "T" if all_positions else 1, self.model["vocab_size"])]
        outputs += [describe_value(f"new.{name}", "T", self.width) for name in self.caches]
        return self.serialize(inputs, outputs, version=version)


def compute_angles(model: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """The angle by which position p rotates pair i of a head: [context, head_width / 2] (Su et al. 2021)."""
    head_width = model["hidden_size"] // model["num_attention_heads"]
    speeds = model["rope_theta"] ** -(np.arange(0, head_width, 2) / head_width)
    return np.outer(np.arange(model["max_position_embeddings"]), speeds)


def compute_rotations(model: Mapping[str, Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Cosines and signed sines [context, 1, head_width] of the half-split layout."""
    angles = compute_angles(model)[:, None, :]
    cosines, sines = np.cos(angles), np.sin(angles)
    return np.concatenate([cosines, cosines], axis=-1), np.concatenate([-sines, sines], axis=-1)


def describe_value(name: str, *shape: str | int, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
