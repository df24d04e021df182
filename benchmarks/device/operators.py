"""Alternatives for parts of the graph: single operators of the default shape in ONNX Runtime, one thread.

    python benchmarks/device/operators.py

The operators of a group alternate, one call at a time. The 5th percentile is printed, because other work may use the
machine. Each figure includes a call of its own (the first line). docs/experiments/2026-11-28-inference-graph.md has the
results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from stages import measure

from semilla.export.int8_graph import quantize

FUSED, HEADS, CONTEXT, WIDTH, HEAD_WIDTH, VOCABULARY, BEST = "com.microsoft", 4, 128, 128, 32, 8000, 40
CACHE = (1, HEADS, CONTEXT, HEAD_WIDTH)
NUM_TURNS = 2000
KINDS = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}
RANDOM = np.random.default_rng(0)
Call = Callable[[], object]


def draw(*shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.standard_normal(shape).astype(np.float32)


def node(operator: str, inputs: str, outputs: str, *, fused: bool = False, **attributes: Any) -> Any:
    """Build a node; names are separated by spaces, and ``_`` is an omitted input."""
    names = ["" if name == "_" else name for name in inputs.split()]
    domain = FUSED if fused else ""
    return helper.make_node(operator, names, outputs.split(), domain=domain, **attributes)


def describe(name: str, array: np.ndarray[Any, Any]) -> Any:
    kind = TensorProto.INT32 if array.dtype == np.int32 else KINDS[array.dtype.kind]
    return helper.make_tensor_value_info(name, kind, array.shape)


def open_nodes(
    nodes: list[Any], constants: dict[str, Any], inputs: dict[str, np.ndarray[Any, Any]], outputs: str
) -> Call:
    """Return a call of the nodes; an output ``present.x`` overwrites the input ``past.x``."""
    infos = [helper.make_empty_tensor_value_info(name) for name in outputs.split()]
    infos = [
        describe(name, inputs[name.replace("present", "past")]) if name.startswith("present") else one
        for name, one in zip(outputs.split(), infos, strict=True)
    ]
    graph = helper.make_graph(
        nodes,
        "operators",
        [describe(name, array) for name, array in inputs.items()],
        infos,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        helper.make_model(graph, opset_imports=imports, ir_version=8).SerializeToString(), options
    )
    binding = session.io_binding()
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    for name in outputs.split():
        if name.startswith("present"):
            binding.bind_ortvalue_output(name, values[name.replace("present", "past")])
        else:
            binding.bind_output(name)
    return lambda: (session.run_with_iobinding(binding), values)


def list_calls() -> Iterator[tuple[str, Call]]:
    """The cost of an empty call, of more arrays and of more nodes."""
    x = draw(1, WIDTH)
    yield "a call that copies", open_nodes([node("Identity", "x", "y")], {}, {"x": x}, "y")
    many = {f"x{i}": x for i in range(16)}
    yield "16 arrays instead of 1", open_nodes([node("Sum", " ".join(many), "y")], {}, many, "y")
    chain = [node("Mul", f"{'x' if i == 0 else f'y{i - 1}'} x", f"y{i}") for i in range(20)]
    yield "20 nodes instead of 1", open_nodes(chain, {}, {"x": x}, "y19")


def list_products() -> Iterator[tuple[str, Call]]:
    """The output layer: a row times 128 x 8,000 weights."""
    weights, x = draw(VOCABULARY, WIDTH), {"x": draw(1, WIDTH)}
    codes, scales = quantize(weights)
    for bits, block in ((8, 32), (8, 64), (8, 128), (4, 32), (4, 128), (2, 128)):
        blocks = WIDTH // block
        packed = codes.reshape(VOCABULARY, blocks, block)[:, :, : block * bits // 8]
        given = {"codes": packed, "scales": np.repeat(scales, blocks, axis=1)}
        sizes = {"N": VOCABULARY, "K": WIDTH, "bits": bits, "block_size": block, "accuracy_level": 4}
        product = node("MatMulNBits", "x codes scales", "y", fused=True, **sizes)
        yield f"{bits} bits, blocks of {block}", open_nodes([product], given, x, "y")
    whole = (codes.reshape(VOCABULARY, WIDTH).astype(np.int16) - 128).astype(np.int8)
    given = {"w": np.ascontiguousarray(whole.T), "s": scales[:, 0]}
    yield (
        "DynamicQuantizeMatMul, 8 bits",
        open_nodes([node("DynamicQuantizeMatMul", "x w s", "y", fused=True)], given, x, "y"),
    )
    yield "float32", open_nodes([node("Gemm", "x w", "y", transB=1)], {"w": weights}, x, "y")


def list_attentions() -> Iterator[tuple[str, Call]]:
    """A layer's attention at the last position of the context."""
    angles = np.outer(np.arange(CONTEXT), 10_000.0 ** -(np.arange(0, HEAD_WIDTH, 2) / HEAD_WIDTH))
    tables = {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
    caches = {"past.k": draw(*CACHE), "past.v": draw(*CACHE)}
    place = {"last": np.array([CONTEXT - 1], np.int32), "length": np.array(CONTEXT, np.int32)}
    grouped = node(
        "GroupQueryAttention",
        "qkv _ _ past.k past.v last length cos sin",
        "y present.k present.v",
        fused=True,
        num_heads=HEADS,
        kv_num_heads=HEADS,
        do_rotary=1,
    )
    given = {"qkv": draw(1, 1, 3 * WIDTH), **caches, **place}
    yield "GroupQueryAttention, as shipped", open_nodes([grouped], tables, given, "y present.k present.v")
    one = draw(1, 1, WIDTH)
    masked = node(
        "DecoderMaskedMultiHeadAttention",
        "q k v _ _ past.k past.v last",
        "y present.k present.v",
        fused=True,
        num_heads=HEADS,
        past_present_share_buffer=1,
    )
    given = {"q": one, "k": one, "v": one, **caches, "last": place["last"]}
    yield "DecoderMasked…, without rotation", open_nodes([masked], {}, given, "y present.k present.v")
    products = [
        node("MatMul", "past.k q", "scores"),
        node("Softmax", "scores", "shares", axis=1),
        node("MatMul", "p past.v", "y"),
    ]
    flat = {name: cache[0] for name, cache in caches.items()}
    given = {"q": draw(HEADS, HEAD_WIDTH, 1), "p": draw(HEADS, 1, CONTEXT), **flat}
    yield "its two products and softmax alone", open_nodes(products, {}, given, "y shares")


def list_choices() -> Iterator[tuple[str, Call]]:
    """The top 40 of 8,000 logits, directly or through the best of groups."""
    x, best = {"x": draw(1, VOCABULARY)}, {"count": np.array([BEST])}
    yield "TopK, as shipped", open_nodes([node("TopK", "x count", "y ids")], best, x, "y ids")
    for groups in (250, 500, 1000):
        size = VOCABULARY // groups
        nodes = [
            node("Reshape", "x shape", "grouped"),
            node("ReduceMax", "grouped", "highest", axes=[0], keepdims=0),
            node("TopK", "highest count", "_1 chosen", sorted=0),
            node("Gather", "grouped chosen", "left", axis=1),
            node("Reshape", "left flat", "row"),
            node("TopK", "row count", "y place"),
            node("Gather", "numbers chosen", "left_ids", axis=1),
            node("Reshape", "left_ids flat", "row_ids"),
            node("Gather", "row_ids place", "ids"),
        ]
        numbers = np.arange(VOCABULARY).reshape(size, groups)
        constants = {
            **best,
            "shape": np.array([size, groups]),
            "flat": np.array([-1]),
            "numbers": numbers,
        }
        yield f"by way of {groups} groups", open_nodes(nodes, constants, x, "y ids")


def list_loops() -> Iterator[tuple[str, Call]]:
    """Several tokens in a call: the cost of an iteration, and of the KV caches that it must pass on."""
    angles = np.zeros((CONTEXT, HEAD_WIDTH // 2), np.float32)
    for layers, name in ((0, "nothing"), (2, "two attentions")):
        for count in (1, 9):
            caches = [f"{layer}.{kind}" for layer in range(layers) for kind in "kv"]
            yield f"{count} iterations of {name}", open_loop(count, layers, caches, angles)


def open_loop(count: int, layers: int, caches: list[str], angles: np.ndarray[Any, Any]) -> Call:
    states = {
        "x": draw(1, 1, 3 * WIDTH),
        "last": np.array([64], np.int32),
        **{f"past.{one}": draw(*CACHE) for one in caches},
    }
    body = [
        node("Identity", "go", "goes"),
        node("Add", "last one", "next"),
        node("Squeeze", "next", "length"),
        node("Identity", "x", "kept"),
    ]
    for layer in range(layers):
        inputs = f"x _ _ past.{layer}.k past.{layer}.v last length table table"
        outputs = f"y{layer} now.{layer}.k now.{layer}.v"
        body.append(
            node(
                "GroupQueryAttention",
                inputs,
                outputs,
                fused=True,
                num_heads=HEADS,
                kv_num_heads=HEADS,
                do_rotary=1,
            )
        )
    reads = [describe("i", np.array(0)), describe("go", np.array(True))]
    reads += [describe(name, array) for name, array in states.items()]
    names = ["goes", "kept", "next", *(f"now.{one}" for one in caches)]
    writes = [
        describe(name, array) for name, array in zip(names, [np.array(True), *states.values()], strict=True)
    ]
    constants = [
        numpy_helper.from_array(np.array([1], np.int32), "one"),
        numpy_helper.from_array(angles, "table"),
    ]
    graph = helper.make_graph(body, "body", reads, writes, constants)
    outputs = [f"out{number}" for number in range(len(states))]
    loop = node("Loop", f"count start {' '.join(states)}", " ".join(outputs), body=graph)
    given = {"count": np.array(count), "start": np.array(True), **states}
    return open_nodes([loop], {}, given, " ".join(outputs))


def main() -> None:
    for group in (list_calls, list_products, list_attentions, list_choices, list_loops):
        print((group.__doc__ or "").strip())
        for name, one in measure(dict(group()), num_turns=NUM_TURNS).items():
            print(f"  {name:36} {np.percentile(one, 5):6.1f} µs")


if __name__ == "__main__":
    main()
