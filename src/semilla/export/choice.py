"""The choice of the next token as nodes of the graph: repetition penalty, top-k, temperature, top-p, in this order.

After each step a processor's small caches are full of weights. Whatever runs outside the graph has to be fetched
anew, so choosing in Python took as long as a third of the network; as nodes it is a tenth. And a program in any other
language that runs the graph gets tokens, not scores.

Inputs: ``seen`` int64 [1, 1, N], the tokens to penalise, repeats allowed; ``penalty`` float32 [1] and its square
``penalty_squared``; ``count`` int64 [1], how many of the best are considered (top-k; 1 is greedy); ``temperature``
and ``top_p`` float32 [1]; ``uniform`` float32 [1], a number drawn from 0 to 1. Outputs: ``next_id`` int64 [1, S, 1], of
which the first is meant (several rows of scores are only read); ``best_scores`` float32 [1, S, count], descending.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from semilla.export.onnx import Graph, describe_value
from semilla.tokenizer.tokenizer import BEGIN_ID, UNKNOWN_ID

BANNED_IDS = [UNKNOWN_ID, BEGIN_ID]
"""Never chosen."""


def choose(graph: Graph, logits: str) -> None:
    """Append the nodes that turn ``logits`` [1, S, vocabulary] into the outputs."""
    graph.nodes.append(
        helper.make_node("TopK", [penalize(graph, logits), "count"], ["best_scores", "best_ids"], axis=-1)
    )
    shares = graph.add("Softmax", graph.add("Div", "best_scores", "temperature"), axis=-1)
    before = graph.add("CumSum", shares, graph.const("last_axis", -1), exclusive=1)
    # Top-p keeps the likeliest tokens until their shares reach it (Holtzman et al. 2020).
    kept = graph.cast(graph.add("Less", before, "top_p"), TensorProto.FLOAT)
    mass = graph.add("ReduceSum", graph.add("Mul", kept, shares), graph.const("last_axes", [-1]), keepdims=1)
    # The running sum ascends: the last token that begins at or below the number drawn.
    begun = graph.add("LessOrEqual", before, graph.add("Mul", mass, "uniform"))
    place = graph.add("ArgMax", graph.cast(begun, TensorProto.FLOAT), axis=-1, select_last_index=1)
    graph.add("GatherElements", "best_ids", place, axis=2, to="next_id")


def penalize(graph: Graph, logits: str) -> str:
    """Move scores of seen tokens down (Keskar et al. 2019, section 4.1), of banned ones out of reach.

    Scores x above 0 become x / penalty, others x * penalty, which is x * penalty² / penalty.
    """
    before = graph.add("GatherElements", logits, "seen", axis=2)
    after = graph.add("Div", graph.add("PRelu", before, "penalty_squared"), "penalty")
    penalized = graph.add("ScatterElements", logits, "seen", after, axis=2)
    banned = graph.const("banned", [[BANNED_IDS]])
    out = graph.const("out_of_reach", np.full((1, 1, len(BANNED_IDS)), -np.inf))
    return graph.add("ScatterElements", penalized, banned, out, axis=2)


def describe_inputs(num_seen: int | str) -> list[onnx.ValueInfoProto]:
    numbers = ("penalty", "penalty_squared", "temperature", "top_p", "uniform")
    return [
        describe_value("seen", 1, 1, num_seen, kind=TensorProto.INT64),
        describe_value("count", 1, kind=TensorProto.INT64),
        *(describe_value(name, 1) for name in numbers),
    ]


def describe_outputs() -> list[onnx.ValueInfoProto]:
    return [
        describe_value("next_id", 1, "S", 1, kind=TensorProto.INT64),
        describe_value("best_scores", 1, "S", "count"),
    ]
