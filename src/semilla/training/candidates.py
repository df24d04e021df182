"""Which tokens are scored where not all are.

The targets always are; of the other tokens a sample stands for all, each drawn about as often as it occurs in the text
and counted as often as it is rare in the sample. The sum of exponentials that normalises the probabilities is then
right on average (importance sampling as in Bengio & Senecal 2008, https://doi.org/10.1109/TNN.2007.912312, with a
sample shared by many targets as in Jean et al. 2015, https://arxiv.org/abs/1412.2007).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from semilla.seeds import mix_seed

SHARED_BY = 512
"""Targets that share their candidates, in the order of the text: the fewer, the less there is to score, and the rarer
each one's likely alternatives among them. Also the rows of logits held at once."""
LEAST_SAMPLED = 256
"""Tokens drawn beside the targets."""
COUNT_MULTIPLE = 128
"""Candidates come in multiples of this: with a new size every time, freed blocks never fitted the next ones, and
resident memory grew from 500 to 1,060 MB within four epochs."""
LARGEST_SHARE = 0.5
"""With more candidates than this share of the vocabulary, every token is scored: exact, and little slower."""


class Candidates(NamedTuple):
    """Which of the candidates the targets are, the candidates' token ids, and what is added to the score of each.

    First come the targets, in ascending order and as they are; then the sampled, with log(how many tokens each stands
    for). One that is more frequent than a share of the sample comes several times, and stands for less than one.
    """

    targets_N: npt.NDArray[np.int64]  # noqa: N815 - shape suffix
    tokens_C: npt.NDArray[np.int64]  # noqa: N815
    offset_C: npt.NDArray[np.float32]  # noqa: N815


def draw_candidates(
    targets_N: npt.NDArray[np.int64],  # noqa: N803
    counts: npt.NDArray[np.int64],
    *,
    vocab_size: int,
    seed: int,
) -> Candidates | None:
    """Candidates for some targets; ``counts`` is how often each of the first tokens occurs. None to score every token.

    The sample is systematic: equal steps from a random start along all other tokens, each as long as it is frequent.
    """
    target_tokens, rows_N = np.unique(targets_N, return_inverse=True)  # noqa: N806
    least = len(target_tokens) + LEAST_SAMPLED
    num_candidates = math.ceil(least / COUNT_MULTIPLE) * COUNT_MULTIPLE
    if num_candidates > LARGEST_SHARE * vocab_size:
        return None
    num_sampled = num_candidates - len(target_tokens)
    lengths = np.ones(vocab_size)
    lengths[: len(counts)] += counts
    lengths[target_tokens] = 0
    ends = np.cumsum(lengths)
    step = ends[-1] / num_sampled
    start = mix_seed(seed) / 2**63
    sampled = np.searchsorted(ends, step * (start + np.arange(num_sampled)), side="right")
    offset = np.zeros(num_candidates, dtype=np.float32)
    offset[len(target_tokens) :] = np.log(step / lengths[sampled])
    return Candidates(rows_N, np.concatenate((target_tokens, sampled)), offset)
