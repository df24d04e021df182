"""Sampling the next token as nodes of the graph: repetition penalty, top-k, temperature and top-p, in this order.

After each step the small caches of a processor are full of weights, and code outside the graph must be fetched
again. Sampling in Python took as long as a third of the network; in the graph it takes a tenth. It also means
that a program in any other language that runs the graph gets tokens, not logits.

Inputs:
    ``seen`` int64 [B, 1, N]: tokens to penalise; repeats are allowed
    ``penalty``, ``penalty_squared`` float32 [1]: the repetition penalty and its square
    ``count`` int64 [1]: how many of the best tokens are considered (top-k); 1 is greedy
    ``temperature``, ``top_p`` float32 [1]
    ``uniform`` float32 [B, 1, 1]: random numbers from 0 to 1

Outputs:
    ``next_id`` int64 [B, S, 1]: the first row of each text is its sampled token. With S > 1 only the logits are used
    ``best_scores`` float32 [B, S, count]: logits after the penalty, descending
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from semilla.export.float32_graph import Graph, describe_value
from semilla.tokenizer.tokenizer import BEGIN_ID, UNKNOWN_ID

BANNED_IDS = [UNKNOWN_ID, BEGIN_ID]
"""Tokens that are never sampled."""


def choose_token(graph: Graph, logits: str) -> None:
    """Append the nodes that compute the outputs from ``logits`` [B, S, vocabulary]."""
    graph.nodes.append(
        helper.make_node("TopK", [penalize(graph, logits), "count"], ["best_scores", "best_ids"], axis=-1)
    )
    probabilities = graph.add("Softmax", graph.add("Div", "best_scores", "temperature"), axis=-1)
    before = graph.add("CumSum", probabilities, graph.const("last_axis", -1), exclusive=1)
    # Top-p keeps the likeliest tokens until their probabilities add up to it (Holtzman et al. 2020).
    kept = graph.cast(graph.add("Less", before, "top_p"), TensorProto.FLOAT)
    mass = graph.add(
        "ReduceSum", graph.add("Mul", kept, probabilities), graph.const("last_axes", [-1]), keepdims=1
    )
    # The cumulative sum ascends. Take the last token that starts at or below the random number.
    started = graph.add("LessOrEqual", before, graph.add("Mul", mass, "uniform"))
    place = graph.add("ArgMax", graph.cast(started, TensorProto.FLOAT), axis=-1, select_last_index=1)
    graph.add("GatherElements", "best_ids", place, axis=2, to="next_id")


def penalize(graph: Graph, logits: str) -> str:
    """Lower the logits of seen tokens (Keskar et al. 2019, section 4.1); set those of banned tokens to -inf.

    A logit x above 0 becomes x / penalty. Any other becomes x * penalty, which is x * penalty² / penalty.
    """
    bans = np.zeros(graph.model["vocab_size"])
    bans[BANNED_IDS] = -np.inf
    allowed = graph.add("Add", logits, graph.const("bans", bans))
    before = graph.add("GatherElements", allowed, "seen", axis=2)
    after = graph.add("Div", graph.add("PRelu", before, "penalty_squared"), "penalty")
    return graph.add("ScatterElements", allowed, "seen", after, axis=2)


def describe_inputs(num_seen: int | str) -> list[onnx.ValueInfoProto]:
    numbers = ("penalty", "penalty_squared", "temperature", "top_p")
    return [
        describe_value("seen", "B", 1, num_seen, kind=TensorProto.INT64),
        describe_value("count", 1, kind=TensorProto.INT64),
        *(describe_value(name, 1) for name in numbers),
        describe_value("uniform", "B", 1, 1),
    ]


def describe_outputs() -> list[onnx.ValueInfoProto]:
    return [
        describe_value("next_id", "B", "S", 1, kind=TensorProto.INT64),
        describe_value("best_scores", "B", "S", "count"),
    ]
