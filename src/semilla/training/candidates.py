"""Which tokens a step scores when it does not score them all.

The tokens a batch contains are always among them, so every target is scored exactly; of the others a random sample
stands for all, each counted as often as it is rare in the sample. The sum of exponentials that normalises the
probabilities is then right on average (importance sampling as in Bengio & Senecal 2008, with a sample shared by the
batch as in Jean et al. 2015, https://arxiv.org/abs/1412.2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SAMPLED_SHARE = 1 / 8
"""Share of the vocabulary drawn beside the batch's own tokens, at least."""
COUNT_MULTIPLE = 256
"""Candidates come in multiples of this: with a new size at every step, freed blocks never fitted the next ones, and
resident memory grew from 500 to 1,060 MB within four epochs."""
LARGEST_SHARE = 0.75
"""With more candidates than this share of the vocabulary, scoring every token costs about the same."""


@dataclass(frozen=True)
class Candidates:
    """Token ids in ascending order, and what is added to each one's score: log(how many tokens it stands for)."""

    tokens_C: npt.NDArray[np.int64]  # noqa: N815 - shape suffix
    offset_C: npt.NDArray[np.float32]  # noqa: N815


def draw_candidates(
    targets: npt.NDArray[np.int64], *, vocab_size: int, seed: int, step: int
) -> Candidates | None:
    """Candidates for one step: a pure function of its targets, the seed and the step; None to score every token."""
    is_target = np.zeros(vocab_size, dtype=bool)
    is_target[targets] = True
    others = np.flatnonzero(~is_target)
    num_targets = vocab_size - len(others)
    least = num_targets + vocab_size * SAMPLED_SHARE
    num_candidates = math.ceil(least / COUNT_MULTIPLE) * COUNT_MULTIPLE
    if num_candidates > LARGEST_SHARE * vocab_size:
        return None
    num_sampled = num_candidates - num_targets
    draw = np.random.Generator(np.random.PCG64([seed, step, 1]))
    offset = np.zeros(vocab_size, dtype=np.float32)
    sampled = draw.choice(others, num_sampled, replace=False, shuffle=False)
    offset[sampled] = math.log(len(others) / num_sampled)
    is_target[sampled] = True
    tokens = np.flatnonzero(is_target)
    return Candidates(tokens, offset[tokens])
