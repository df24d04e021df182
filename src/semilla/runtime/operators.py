"""The operators that the graph of a bundle may have: those that our export writes.

Others could run for ever, as a loop of 2**62 rounds does, or read files. Nothing of the graph is loaded before this.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from semilla.errors import IntegrityError
from semilla.tokenizer.model_file import read_fields

OPERATORS = {
    "": {
        "Add", "ArgMax", "Cast", "CumSum", "Div", "Gather", "GatherElements", "Less", "LessOrEqual", "Mul", "PRelu",
        "Pow", "ReduceMean", "ReduceSum", "Reshape", "ScatterElements", "Softmax", "Split", "Sqrt", "TopK",
    },
    "com.microsoft": {
        "GatherBlockQuantized", "GroupQueryAttention", "MatMulNBits", "QuickGelu", "SkipSimplifiedLayerNormalization",
    },
}  # fmt: skip
"""Domain -> its operators."""
_GRAPH, _FUNCTION, _NODE, _TYPE, _ATTRIBUTE, _DOMAIN = 7, 25, 1, 4, 5, 7
"""Field numbers in onnx.proto: of ModelProto, GraphProto and NodeProto."""
_SUBGRAPHS = {6, 11}
"""Of AttributeProto."""


def check_operators(path: Path) -> None:
    """Raise IntegrityError unless the graph at ``path`` has only our operators, and no graph inside another."""
    with path.open("rb") as file:
        # Mapped, so that the weights are neither read nor copied.
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        unknown = next((name for name in _list_operators(content) if name), None)
    except (ValueError, IndexError) as error:
        raise IntegrityError(f"{path} cannot be loaded: {error}") from error
    if unknown:
        raise IntegrityError(f"{path} contains {unknown}, which no export of Semilla writes")


def _list_operators(content: memoryview) -> Iterator[str]:
    """Yield what is not ours, in words, and an empty text for each operator that is."""
    for field, value in read_fields(content):
        if field == _FUNCTION:
            yield "a function"
        elif field == _GRAPH:
            for kind, node in read_fields(value):
                if kind == _NODE:
                    yield _judge_node(node)


def _judge_node(node: memoryview) -> str:
    operator, domain, has_graph = "", "", False
    for field, value in read_fields(node):
        if field == _TYPE:
            operator = bytes(value).decode("utf-8", "replace")
        elif field == _DOMAIN:
            domain = bytes(value).decode("utf-8", "replace")
        elif field == _ATTRIBUTE:
            has_graph |= any(inner in _SUBGRAPHS for inner, _ in read_fields(value))
    if operator not in OPERATORS.get(domain, ()):
        return f"the operator {operator[:50]!a}"
    return "a graph inside an operator" if has_graph else ""
