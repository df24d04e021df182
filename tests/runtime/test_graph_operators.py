"""A bundle may only hold what our export writes, even if its hashes are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_bundle import describe_model, draw_weights

from semilla.errors import IntegrityError
from semilla.export.int8_graph import build_int8_graph
from semilla.runtime.operators import OPERATORS, check_operators


def build(**changes: int) -> onnx.ModelProto:
    model = describe_model(**changes)
    return onnx.load_model_from_string(build_int8_graph(draw_weights(model), model=model))


def write(path: Path, graph: onnx.ModelProto) -> Path:
    path.write_bytes(graph.SerializeToString())
    return path


def test_the_list_is_what_the_export_writes() -> None:
    """No operator too few and none too many."""
    written: dict[str, set[str]] = {"": set(), "com.microsoft": set()}
    for node in build().graph.node:
        written[node.domain].add(node.op_type)
    assert written == OPERATORS


@pytest.mark.parametrize("heads", [1, 4])
def test_an_export_is_accepted(tmp_path: Path, heads: int) -> None:
    """Of any shape."""
    check_operators(write(tmp_path / "model.onnx", build(num_attention_heads=heads)))


def plant_loop(graph: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    graph.graph.node.append(helper.make_node("Loop", ["rounds", ""], [], body=body))
    graph.graph.initializer.append(helper.make_tensor("rounds", TensorProto.INT64, [], [2**62]))


def plant_operator(graph: onnx.ModelProto) -> None:
    graph.graph.node.insert(0, helper.make_node("Expand", ["x", "shape"], ["y"]))


def plant_foreign_domain(graph: onnx.ModelProto) -> None:
    graph.graph.node[0].domain = "org.example"


def plant_subgraph(graph: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "inner", [], [])
    graph.graph.node[0].attribute.append(helper.make_attribute("then_branch", inner))


def plant_function(graph: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 17)]
    graph.functions.append(helper.make_function("", "Add", ["a", "b"], ["c"], [], opset))


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (plant_loop, "Loop"),
        (plant_operator, "Expand"),
        (plant_foreign_domain, "operator"),
        (plant_subgraph, "a graph inside an operator"),
        (plant_function, "a function"),
    ],
)
def test_anything_else_is_refused_unread(tmp_path: Path, plant: object, words: str) -> None:
    """A loop that never ends, an operator that takes all memory, and ways to hide either."""
    graph = build()
    plant(graph)  # type: ignore[operator]
    with pytest.raises(IntegrityError, match=words):
        check_operators(write(tmp_path / "model.onnx", graph))


def test_damaged_graphs_end_in_the_same_error(tmp_path: Path) -> None:
    """Cut anywhere or with flipped bytes, they are refused or accepted, with no other exception."""
    content, draw = build().SerializeToString(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(content[: draw.integers(1, len(content))])
        damaged[draw.integers(len(damaged))] ^= 255
        (tmp_path / "model.onnx").write_bytes(damaged)
        try:
            check_operators(tmp_path / "model.onnx")
        except IntegrityError as error:
            assert "model.onnx" in str(error)  # noqa: PT017 - some of the damaged graphs are accepted
