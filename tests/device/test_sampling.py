"""Choosing a token: each setting does what its name says, fast and reproducibly."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.device.bundle import GenerationSettings
from semilla.device.sampling import compute_probabilities, find_best, keep_nucleus, penalize, pick_token
from semilla.errors import IntegrityError, InvalidConfigError

PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}


def draw_many(
    scores: list[float], *, count: int = 4000, seen: tuple[int, ...] = (), **changes: Any
) -> Counter[int]:
    settings = GenerationSettings(**{**PLAIN, **changes})
    random = Random(0)
    seen_ids = np.array(seen, dtype=np.int64)
    table = np.array(scores, np.float32)
    return Counter(pick_token(table, settings=settings, random=random, seen=seen_ids) for _ in range(count))


def test_temperature_zero_takes_the_likeliest_token() -> None:
    """Greedy choice is certain."""
    assert draw_many([0.1, 2.0, 1.9], temperature=0) == {1: 4000}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax(temperature: float) -> None:
    """Over many draws each token's share is its probability at that temperature, within five deviations."""
    scores = np.array([1.0, 0.0, -1.0, 2.0])
    expected = np.exp(scores / temperature) / np.exp(scores / temperature).sum()
    drawn = draw_many(list(scores), temperature=temperature)
    for token, share in enumerate(expected):
        assert abs(drawn[token] / 4000 - share) < 5 * np.sqrt(share * (1 - share) / 4000)


def test_a_tiny_temperature_is_as_good_as_zero() -> None:
    """No overflow, no warning, no other token."""
    assert draw_many([0.1, 2.0, 1.9], temperature=1e-308) == {1: 4000}


def test_top_k_leaves_k_tokens() -> None:
    """Only the k best are ever drawn, and each of them is."""
    assert set(draw_many([0.0, 0.3, 0.1, 0.2], top_k=2)) == {1, 3}


def test_top_p_leaves_the_smallest_set_that_reaches_it() -> None:
    """Shares 0.5, 0.3, 0.2: a nucleus of 0.7 needs two tokens, one of 0.5 a single one, however small p is."""
    scores = list(np.log([0.2, 0.5, 0.3]))
    assert set(draw_many(scores, top_p=0.7)) == {1, 2}
    assert set(draw_many(scores, top_p=0.49)) == {1}
    assert set(draw_many(scores, top_p=1e-6)) == {1}
    assert set(draw_many(scores, top_p=1.0)) == {0, 1, 2}


def test_penalty_makes_seen_tokens_less_likely() -> None:
    """Positive scores shrink, negative ones grow more negative, others stay; the given scores are not touched."""
    scores = np.array([2.0, -2.0, 2.0], np.float32)
    moved = penalize(scores, np.array([0, 1, 1, 0]), penalty=2.0)
    assert moved.tolist() == [1.0, -4.0, 2.0]
    assert scores.tolist() == [2.0, -2.0, 2.0]
    assert draw_many([2.0, -2.0, 2.0], seen=(0,), repetition_penalty=10, temperature=0) == {2: 4000}


@pytest.mark.parametrize("temperature", [0.0, 5.0])
def test_banned_tokens_are_never_drawn(temperature: float) -> None:
    """Not even when they are by far the likeliest."""
    settings = GenerationSettings(**{**PLAIN, "temperature": temperature})
    random, scores = Random(0), np.array([50.0, 0.0, 0.0, 60.0], np.float32)
    drawn = {
        pick_token(scores, settings=settings, random=random, banned=np.array([0, 3])) for _ in range(500)
    }
    assert drawn <= {1, 2}


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 1500),
    count=st.integers(0, 80),
    levels=st.integers(1, 99),
)
def test_the_best_are_those_of_a_full_sort(seed: int, size: int, count: int, levels: int) -> None:
    """The quick selection finds what sorting everything finds, ties included."""
    scores = np.random.default_rng(seed).integers(0, levels, size).astype(np.float32)
    expected = sorted(range(size), key=lambda token: (-scores[token], token))[: count or None]
    assert find_best(scores, count).tolist() == expected


def test_probabilities_sum_to_one() -> None:
    """Over 32,000 tokens the float64 softmax still sums to 1, and a nucleus of everything is everything."""
    scores = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    probabilities = compute_probabilities(scores, temperature=0.8)
    assert abs(probabilities.sum() - 1) < 1e-12
    assert len(keep_nucleus(np.sort(probabilities)[::-1], 1.0)) == 32_000


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_numbers_are_an_error(bad: float) -> None:
    """A damaged model says so instead of writing nonsense."""
    scores = np.zeros(8000, np.float32)
    scores[77] = bad
    with pytest.raises(IntegrityError, match="not finite numbers"):
        pick_token(scores, settings=GenerationSettings(), random=Random(0))


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
