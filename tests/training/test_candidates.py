"""Scoring a sample of the vocabulary estimates the whole: targets exactly, the rest on average."""

from __future__ import annotations

import numpy as np
import pytest

from semilla.model.seeds import mix_seed
from semilla.training.micro_batches import GROUP_TARGETS
from semilla.training.sampled_softmax import (
    NUM_CANDIDATES,
    Candidates,
    are_worth_it,
    draw_candidates,
)

VOCAB_SIZE = 4000
COUNTS = 100_000 // (np.arange(VOCAB_SIZE - 5) + 3)
TARGETS = np.array([700, 5, 9, 5, 700, 11])


def draw(targets: np.ndarray = TARGETS, *, seed: int = 0) -> Candidates:
    """Those of a single group of targets."""
    drawn = draw_candidates(targets[None], COUNTS, vocab_size=VOCAB_SIZE, seeds=[mix_seed(seed)])
    return Candidates(*(rows[0] for rows in drawn))


def test_targets_come_first_and_as_they_are() -> None:
    """In ascending order, found again by their rows, with no offset; the sample has none of them."""
    rows, tokens, offset = draw()
    assert tokens[:4].tolist() == [5, 9, 11, 700]
    assert tokens[rows].tolist() == TARGETS.tolist()
    assert (offset[:4] == 0).all()
    assert not np.isin(tokens[4:], TARGETS).any()
    assert len(tokens) == len(offset) == NUM_CANDIDATES


def test_a_frequent_token_comes_often_and_stands_for_little() -> None:
    """Summed over the sample, every token that is not a target is counted once, on average."""
    weights = np.zeros(VOCAB_SIZE)
    for seed in range(2000):
        _, tokens, offset = draw(seed=seed)
        np.add.at(weights, tokens, np.exp(offset))
    weights /= 2000
    assert weights[TARGETS] == pytest.approx(1)
    assert weights[:20] == pytest.approx(1, abs=0.05)
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights[-5:].mean() == pytest.approx(1, abs=0.5)  # tokens that the text does not have


def test_the_draw_depends_on_the_seed_only() -> None:
    """The same seed draws the same tokens, another one others."""
    assert (draw().tokens_MC == draw().tokens_MC).all()
    assert draw().tokens_MC.tolist() != draw(seed=1).tokens_MC.tolist()


def test_each_chunk_has_candidates_of_its_own() -> None:
    """Its own targets first, and a sample of its own."""
    both = draw_candidates(
        np.stack((TARGETS, TARGETS[::-1] + 1)), COUNTS, vocab_size=VOCAB_SIZE, seeds=[0, 1 << 62]
    )
    assert both.tokens_MC[0, :4].tolist() == [5, 9, 11, 700]
    assert both.tokens_MC[1, both.targets_MN[1]].tolist() == (TARGETS[::-1] + 1).tolist()
    assert both.tokens_MC[0, 4:].tolist() != both.tokens_MC[1, 4:].tolist()


def test_targets_that_are_all_different_leave_room_for_others() -> None:
    """However many of them share candidates."""
    targets = np.arange(GROUP_TARGETS)
    rows, tokens, offset = draw(targets)
    assert tokens[rows].tolist() == targets.tolist()
    assert tokens[GROUP_TARGETS:].min() >= GROUP_TARGETS
    assert np.isfinite(offset).all()


def test_a_small_vocabulary_is_scored_as_a_whole() -> None:
    """Sampling would save little."""
    assert are_worth_it(3 * NUM_CANDIDATES)
    assert not are_worth_it(3 * NUM_CANDIDATES - 1)


def test_the_normalising_sum_is_right_on_average() -> None:
    """Over many draws, exponentials of the sampled scores add up to those of all scores."""
    random = np.random.default_rng(0)
    scores = np.log1p(np.arange(VOCAB_SIZE)) * -0.8 + random.normal(size=VOCAB_SIZE)
    sums = []
    for seed in range(400):
        _, tokens, offset = draw(seed=seed)
        sums.append(np.exp(scores[tokens] + offset).sum())
    assert np.mean(sums) == pytest.approx(np.exp(scores).sum(), rel=0.01)
    assert np.std(sums) < 0.1 * np.mean(sums)
