"""Sampling inside the graph: each setting does what its name says, reproducibly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.errors import InvalidConfigError
from semilla.export.float32_graph import Graph, describe_value
from semilla.export.sampling import BANNED_IDS, choose_token, describe_inputs, describe_outputs
from semilla.runtime.bundle import GenerationSettings
from semilla.runtime.context import make_sampling_inputs
from semilla.tokenizer.tokenizer import BEGIN_ID, UNKNOWN_ID

PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
NUM_BANNED = len(BANNED_IDS)


def open_graph(vocab_size: int) -> Graph:
    model = {"num_attention_heads": 1, "hidden_size": 2, "num_hidden_layers": 0, "vocab_size": vocab_size}
    return Graph({}, model)


@cache
def open_choice(vocab_size: int) -> onnxruntime.InferenceSession:
    """The sampling nodes alone: logits in, token out."""
    graph = open_graph(vocab_size)
    choose_token(graph, "logits")
    inputs = [describe_value("logits", 1, "S", "V"), *describe_inputs("N")]
    return onnxruntime.InferenceSession(graph.serialize(inputs, describe_outputs()))


def pick(logits: Any, *, uniform: float, seen: tuple[int, ...] = (), **changes: Any) -> int:
    """The token sampled from ``logits``; the banned ids come before them and are not counted."""
    settings = GenerationSettings(**{**PLAIN, **changes})
    table = np.concatenate([np.full(NUM_BANNED, 99), logits]).astype(np.float32)
    noted = np.array([token + NUM_BANNED for token in seen] or [0])
    feed = make_sampling_inputs(settings, vocab_size=len(table))
    feed |= {
        "logits": table[None, None],
        "seen": noted[None, None],
        "uniform": np.array([[[uniform]]], np.float32),
    }
    return int(open_choice(len(table)).run(["next_id"], feed)[0].item()) - NUM_BANNED


def draw_many(logits: Any, *, count: int = 2000, **changes: Any) -> Counter[int]:
    draw: Callable[[], float] = Random(0).random
    return Counter(pick(logits, uniform=draw(), **changes) for _ in range(count))


def test_the_banned_are_those_that_spell_nothing() -> None:
    """Unknown and begin-of-text come first in every vocabulary."""
    assert BANNED_IDS == [UNKNOWN_ID, BEGIN_ID] == [0, 1]


@pytest.mark.parametrize("temperature", [0, 1e-308, 1e-4])
def test_temperature_zero_takes_the_likeliest_token(temperature: float) -> None:
    """Greedy choice is certain, and a tiny temperature is as good as zero."""
    assert draw_many([0.1, 2.0, 1.9], temperature=temperature, count=50) == {1: 50}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax(temperature: float) -> None:
    """Over many draws each token's share is its probability at that temperature, within five deviations."""
    logits = np.array([1.0, 0.0, -1.0, 2.0])
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    drawn = draw_many(logits, temperature=temperature)
    for token, share in enumerate(expected):
        assert abs(drawn[token] / 2000 - share) < 5 * np.sqrt(share * (1 - share) / 2000)


def test_top_k_leaves_k_tokens() -> None:
    """Only the k best are ever drawn, and each of them is."""
    assert set(draw_many([0.0, 0.3, 0.1, 0.2], top_k=2, count=200)) == {1, 3}


@pytest.mark.parametrize(("share", "kept"), [(0.7, {1, 2}), (0.49, {1}), (1e-6, {1}), (1.0, {0, 1, 2})])
def test_top_p_leaves_the_smallest_set_that_reaches_it(share: float, kept: set[int]) -> None:
    """Shares 0.5, 0.3, 0.2: a nucleus of 0.7 needs two tokens, one of 0.5 a single one, however small p is."""
    assert set(draw_many(np.log([0.2, 0.5, 0.3]), top_p=share, count=300)) == kept


def test_the_nucleus_is_drawn_in_proportion() -> None:
    """The remaining tokens keep their proportions: 0.5 and 0.3 become 5/8 and 3/8."""
    drawn = draw_many(np.log([0.2, 0.5, 0.3]), top_p=0.7)
    assert abs(drawn[1] / 2000 - 5 / 8) < 5 * np.sqrt(15 / 64 / 2000)


@pytest.mark.parametrize(("seen", "best"), [((), 0), ((0,), 2), ((0, 2, 2, 0), 0), ((0, 1, 2), 0)])
def test_penalty_makes_seen_tokens_less_likely(seen: tuple[int, ...], best: int) -> None:
    """Logits of 2.0, 1.0 and 1.5 become 1.0, 0.5 and 0.75 once their tokens have occurred, however often."""
    assert pick([2.0, 1.0 - 0.25, 1.5], uniform=0, seen=seen, repetition_penalty=2.0, temperature=0) == best


def test_a_negative_logit_is_penalised_downwards() -> None:
    """A negative logit is multiplied: division would make its token likelier."""
    assert pick([-0.8, -0.9], uniform=0, seen=(0,), repetition_penalty=2.0, temperature=0) == 1
    assert pick([-0.8, -0.9], uniform=0, seen=(1,), repetition_penalty=0.5, temperature=0) == 1


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 300),
    top_k=st.integers(0, 80),
    top_p=st.floats(0.01, 1),
    uniform=st.floats(0, 0.999),
    penalty=st.floats(0.2, 5),
)
def test_the_graph_chooses_as_the_definitions_do(
    seed: int, size: int, top_k: int, top_p: float, uniform: float, penalty: float
) -> None:
    """Penalty, top-k, temperature, top-p and draw in float64 lead to the same token, or to one as good as tied."""
    random = np.random.default_rng(seed)
    logits, seen = random.normal(0, 3, size), tuple(random.integers(0, size, 5).tolist())
    moved = logits.copy()
    for token in set(seen):
        moved[token] = logits[token] / penalty if logits[token] > 0 else logits[token] * penalty
    order = np.argsort(-moved, kind="stable")[: top_k or None]
    shares = np.exp((moved[order] - moved[order[0]]) / 0.8)
    shares /= shares.sum()
    before = np.cumsum(shares) - shares
    kept = before < top_p
    place = int((before <= uniform * shares[kept].sum()).sum()) - 1
    chosen = pick(
        logits,
        uniform=uniform,
        seen=seen,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=penalty,
        temperature=0.8,
    )
    near = order[max(0, place - 1) : place + 2]
    margin = min(abs(uniform * shares[kept].sum() - before).min(), abs(before - top_p).min())
    assert chosen == order[place] or (margin < 1e-5 and chosen in near)


def test_only_standard_operators_choose() -> None:
    """Any reader of ONNX can run the choice."""
    graph = open_graph(5)
    choose_token(graph, "logits")
    assert {node.domain for node in graph.nodes} == {""}
    assert isinstance(graph.nodes[0], onnx.NodeProto)


def test_every_wrong_setting_is_listed_with_the_nearest_right_one() -> None:
    """One error names all mistakes."""
    with pytest.raises(InvalidConfigError) as caught:
        GenerationSettings(temperature=11, top_k=-1, top_p=0, max_tokens=0, repetition_penalty=float("nan"))
    nearest = {mistake.field: mistake.nearest for mistake in caught.value.mistakes}
    assert nearest == {
        "max_tokens": 1,
        "temperature": 10,
        "top_k": 0,
        "top_p": 1e-6,
        "repetition_penalty": 0.1,
    }


@pytest.mark.parametrize(
    "wrong", [{"top_k": 1.5}, {"max_tokens": True}, {"temperature": "hot"}, {"stop": ("",)}]
)
def test_settings_of_the_wrong_kind_are_mistakes(wrong: dict[str, Any]) -> None:
    """Fractions of tokens, words for numbers and empty stop texts are refused by name."""
    with pytest.raises(InvalidConfigError) as caught:
        GenerationSettings(**wrong)
    assert [mistake.field for mistake in caught.value.mistakes] == list(wrong)
