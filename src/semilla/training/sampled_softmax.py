"""Which tokens are scored where not all are.

The targets always are; of the other tokens a sample stands for all, each drawn about as often as it occurs in the text
and counted as often as it is rare in the sample. The sum of exponentials that normalises the probabilities is then
right on average (importance sampling as in Bengio & Senecal 2008, https://doi.org/10.1109/TNN.2007.912312, with a
sample shared by many targets as in Jean et al. 2015, https://arxiv.org/abs/1412.2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

NUM_CANDIDATES = 448
"""Tokens that are scored: some 160 different targets, and as many others as there is room for."""
LARGEST_SHARE = 1 / 3
"""Of a vocabulary of which the candidates are more than this share every token is scored: exact, and little slower."""


Counts = npt.NDArray[np.int64]
"""How often each of the first tokens of the vocabulary occurs in the text."""


class Candidates(NamedTuple):
    """Sets of C candidates for M rows of N targets: which of its set each is, their ids, what is added to their scores.

    First come the targets, in ascending order and as they are; then the sampled, with log(how many tokens each stands
    for). One that is more frequent than a share of the sample comes several times, and stands for less than one.
    """

    targets_MN: npt.NDArray[np.int64]
    tokens_MC: npt.NDArray[np.int64]
    offset_MC: npt.NDArray[np.float32]


def are_worth_it(vocab_size: int) -> bool:
    """Whether there is much to gain from scoring candidates only."""
    return LARGEST_SHARE * vocab_size >= NUM_CANDIDATES


def draw_candidates(
    targets_MN: npt.NDArray[np.int64],
    counts: Counts,
    *,
    vocab_size: int,
    seeds: Sequence[int],
) -> Candidates:
    """Candidates for each group of targets, which has a seed of its own; ``counts`` is what the others are drawn by.

    The sample is systematic: equal steps from a random start along all other tokens, each as long as it is frequent.
    """
    lengths = np.ones(vocab_size)
    lengths[: len(counts)] += counts
    ends = np.cumsum(lengths)
    rows_MN = np.empty_like(targets_MN)
    tokens_MC = np.empty((len(targets_MN), NUM_CANDIDATES), dtype=np.int64)
    offset_MC = np.zeros(tokens_MC.shape, dtype=np.float32)
    for number, (targets, seed) in enumerate(zip(targets_MN, seeds, strict=True)):
        tokens, rows_MN[number] = np.unique(targets, return_inverse=True)
        # On a line of all tokens, each as long as it is frequent, walk over those that are not to be drawn.
        walked = np.cumsum(lengths[tokens])
        num_sampled = NUM_CANDIDATES - len(tokens)
        step = (ends[-1] - walked[-1]) / num_sampled
        stops = step * (seed / 2**63 + np.arange(num_sampled))
        num_passed = np.searchsorted(ends[tokens] - walked, stops, side="right")
        stops += np.concatenate(([0.0], walked))[num_passed]
        sampled = np.searchsorted(ends, stops, side="right")
        tokens_MC[number] = np.concatenate((tokens, sampled))
        offset_MC[number, len(tokens) :] = np.log(step / lengths[sampled])
    return Candidates(rows_MN, tokens_MC, offset_MC)
