"""The sampled softmax estimates the full one: targets exactly, all other tokens on average."""

from __future__ import annotations

import numpy as np
import pytest

from semilla.model.seeds import mix_seed
from semilla.training.micro_batches import GROUP_TARGETS
from semilla.training.sampled_softmax import (
    SAMPLE_SIZE,
    Sample,
    draw_sample,
    is_worth_sampling,
)

VOCAB_SIZE = 4000
COUNTS = 100_000 // (np.arange(VOCAB_SIZE - 5) + 3)
TARGETS = np.array([700, 5, 9, 5, 700, 11])


def draw(targets: np.ndarray = TARGETS, *, seed: int = 0) -> Sample:
    """Those of a single group of targets."""
    drawn = draw_sample(targets[None], COUNTS, vocab_size=VOCAB_SIZE, seeds=[mix_seed(seed)])
    return Sample(*(rows[0] for rows in drawn))


def test_targets_come_first_and_as_they_are() -> None:
    """In ascending order, at the rows given for them, with no offset; none of them is a negative sample."""
    rows, tokens, offset = draw()
    assert tokens[:4].tolist() == [5, 9, 11, 700]
    assert tokens[rows].tolist() == TARGETS.tolist()
    assert (offset[:4] == 0).all()
    assert not np.isin(tokens[4:], TARGETS).any()
    assert len(tokens) == len(offset) == SAMPLE_SIZE


def test_frequent_tokens_are_drawn_often_with_small_weights() -> None:
    """On average, the weights of each token that is not a target add up to one."""
    weights = np.zeros(VOCAB_SIZE)
    for seed in range(2000):
        _, tokens, offset = draw(seed=seed)
        np.add.at(weights, tokens, np.exp(offset))
    weights /= 2000
    assert weights[TARGETS] == pytest.approx(1)
    assert weights[:20] == pytest.approx(1, abs=0.05)
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights[-5:].mean() == pytest.approx(1, abs=0.5)  # tokens that do not occur in the text


def test_the_draw_depends_on_the_seed_only() -> None:
    """The same seed draws the same tokens; another seed draws others."""
    assert (draw().tokens_MC == draw().tokens_MC).all()
    assert draw().tokens_MC.tolist() != draw(seed=1).tokens_MC.tolist()


def test_each_group_has_a_sample_of_its_own() -> None:
    """Its own targets first, then its own negative samples."""
    both = draw_sample(
        np.stack((TARGETS, TARGETS[::-1] + 1)), COUNTS, vocab_size=VOCAB_SIZE, seeds=[0, 1 << 62]
    )
    assert both.tokens_MC[0, :4].tolist() == [5, 9, 11, 700]
    assert both.tokens_MC[1, both.targets_MN[1]].tolist() == (TARGETS[::-1] + 1).tolist()
    assert both.tokens_MC[0, 4:].tolist() != both.tokens_MC[1, 4:].tolist()


def test_distinct_targets_leave_room_for_negative_samples() -> None:
    """Also when no two targets of a full group are the same."""
    targets = np.arange(GROUP_TARGETS)
    rows, tokens, offset = draw(targets)
    assert tokens[rows].tolist() == targets.tolist()
    assert tokens[GROUP_TARGETS:].min() >= GROUP_TARGETS
    assert np.isfinite(offset).all()


def test_a_small_vocabulary_is_not_sampled() -> None:
    """Sampling would save little."""
    assert is_worth_sampling(3 * SAMPLE_SIZE)
    assert not is_worth_sampling(3 * SAMPLE_SIZE - 1)


def test_the_normalising_sum_is_right_on_average() -> None:
    """Over many draws, the weighted exponentials of sampled logits add up to those of all logits."""
    random = np.random.default_rng(0)
    scores = np.log1p(np.arange(VOCAB_SIZE)) * -0.8 + random.normal(size=VOCAB_SIZE)
    sums = []
    for seed in range(400):
        _, tokens, offset = draw(seed=seed)
        sums.append(np.exp(scores[tokens] + offset).sum())
    assert np.mean(sums) == pytest.approx(np.exp(scores).sum(), rel=0.01)
    assert np.std(sums) < 0.1 * np.mean(sums)
