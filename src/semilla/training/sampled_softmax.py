"""Sampled softmax: which tokens of a large vocabulary get logits while training.

The targets of a group always do. Negative samples stand for all other tokens: each token is drawn about as often as it
occurs in the text, and weighted by the inverse of its sampling probability. The normalising sum of the softmax is then
right on average (importance sampling as in Bengio & Senecal 2008, https://doi.org/10.1109/TNN.2007.912312, with samples
shared by many targets as in Jean et al. 2015, https://arxiv.org/abs/1412.2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SAMPLE_SIZE = 448
"""Tokens with logits in each group: about 160 different targets, and negative samples."""
MAX_SAMPLE_SHARE = 1 / 3
"""When the sample would be a larger share of the vocabulary, the full softmax is used: exact, and hardly slower."""

Counts = npt.NDArray[np.int64]
"""How often each token of the vocabulary occurs in the text, up to the last that does."""


class Sample(NamedTuple):
    """Tokens with logits for M groups of N targets: C tokens in each group.

    Each group has its distinct targets first, in ascending order; then negative samples. ``targets_MN`` says where in
    the group's tokens each target is. ``offset_MC`` is added to the logits: 0 for targets, log of the sampling weight
    for negatives. A token more frequent than one share of the sample is drawn several times, with a weight below 1.
    """

    targets_MN: npt.NDArray[np.int64]
    tokens_MC: npt.NDArray[np.int64]
    offset_MC: npt.NDArray[np.float32]


def is_worth_sampling(vocab_size: int) -> bool:
    """Tell whether a sample is much smaller than the vocabulary."""
    return MAX_SAMPLE_SHARE * vocab_size >= SAMPLE_SIZE


def draw_sample(
    targets_MN: npt.NDArray[np.int64], counts: Counts, *, vocab_size: int, seeds: Sequence[int]
) -> Sample:
    """Draw the negative samples of each group by ``counts`` plus one, from the group's seed of 63 bits.

    Systematic sampling over the cumulative distribution, skipping the targets: equal steps from one random start.
    """
    frequencies = np.ones(vocab_size)
    frequencies[: len(counts)] += counts
    ends = np.cumsum(frequencies)
    rows_MN = np.empty_like(targets_MN)
    tokens_MC = np.empty((len(targets_MN), SAMPLE_SIZE), dtype=np.int64)
    offset_MC = np.zeros(tokens_MC.shape, dtype=np.float32)
    for group, (targets, seed) in enumerate(zip(targets_MN, seeds, strict=True)):
        tokens, rows_MN[group] = np.unique(targets, return_inverse=True)
        skipped = np.cumsum(frequencies[tokens])
        num_negatives = SAMPLE_SIZE - len(tokens)
        step = (ends[-1] - skipped[-1]) / num_negatives
        points = step * (seed / 2**63 + np.arange(num_negatives))
        # Points lie on a line without the targets; move each past those before it, to where its token is.
        num_before = np.searchsorted(ends[tokens] - skipped, points, side="right")
        points += np.concatenate(([0.0], skipped))[num_before]
        negatives = np.searchsorted(ends, points, side="right")
        tokens_MC[group] = np.concatenate((tokens, negatives))
        offset_MC[group, len(tokens) :] = np.log(step / frequencies[negatives])
    return Sample(rows_MN, tokens_MC, offset_MC)
