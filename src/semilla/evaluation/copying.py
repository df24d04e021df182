"""Copying: the longest run of tokens that a text shares with the training text.

Runs of 1, 2, 4 and 8 tokens are ranked as in the construction of a suffix array (Manber and Myers 1993,
https://doi.org/10.1137/0222058): two ranks beside each other are a run of twice the length. Only runs that the texts
have get a rank, so that few places of the training text are left to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from semilla.evaluation.text_metrics import Ids
from semilla.system import interrupts

Ranks = npt.NDArray[np.int64]
"""For each position, the rank of the run that begins there; NONE where it is not a run of the texts."""

NONE = -1
LENGTHS = (1, 2, 4, 8)
SEARCHED_TOKENS = 1 << 20
"""Tokens of the training text that are searched at a time."""


def measure_copying(texts: Sequence[Ids], training_ids: Ids) -> list[int]:
    """For each text, the tokens in its longest run that occurs verbatim in the training text."""
    levels = list(_rank_texts([np.asarray(text, np.int64) for text in texts]))
    overlap = max(map(len, texts), default=0)
    longest = [0] * len(texts)
    for start in range(0, len(training_ids), SEARCHED_TOKENS):
        interrupts.check()
        part = np.asarray(training_ids[start : start + SEARCHED_TOKENS + overlap]).astype(np.int64)
        longest = list(map(max, longest, _search(levels, part)))
    return longest


class _Level:
    """The runs of one length in the texts: their ``codes``, ascending, and the ranks [T] of each text."""

    def __init__(self, length: int, coded_texts: Sequence[Ranks]) -> None:
        self.length = length
        codes = np.unique(np.concatenate([np.zeros(0, np.int64), *coded_texts]))
        self.codes = codes[codes >= 0]
        self.texts = [self.rank(one) for one in coded_texts]

    def rank(self, codes: Ranks) -> Ranks:
        """The places of ``codes`` among those of the texts."""
        if not len(self.codes):
            return np.full(len(codes), NONE)
        places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[places] == codes, places, NONE)

    def join(self, ranks: Ranks) -> Ranks:
        """The codes of the runs of twice the length."""
        first, second = ranks[: -self.length], ranks[self.length :]
        return np.where(np.minimum(first, second) >= 0, first * len(self.codes) + second, NONE)


def _rank_texts(texts: Sequence[Ranks]) -> Iterator[_Level]:
    for length in LENGTHS:
        level = _Level(length, texts)
        yield level
        texts = [level.join(ranks) for ranks in level.texts]


def _search(levels: Sequence[_Level], part: Ranks) -> list[int]:
    """For each text, its longest run that occurs in a part of the training text."""
    codes, ranked = part, []
    for level in levels:
        ranked.append(level.rank(codes))
        codes = level.join(ranked[-1])
    longest = [0] * len(levels[0].texts)
    for level, ranks in zip(reversed(levels), reversed(ranked), strict=True):
        if all(longest):
            break
        places = np.flatnonzero(ranks >= 0)
        places = places[np.argsort(ranks[places], kind="stable")]
        places_of = np.split(places, np.cumsum(np.bincount(ranks[places], minlength=len(level.codes)))[:-1])
        for number, text in enumerate(level.texts):
            if not longest[number]:
                found = [(i, places_of[rank]) for i, rank in enumerate(text) if rank >= 0]
                longest[number] = _find_longest(found, num_tokens=len(text), length=level.length)
    return longest


def _find_longest(found: Sequence[tuple[int, Ranks]], *, num_tokens: int, length: int) -> int:
    """The longest run, from the places of each of its parts of ``length`` tokens; 0 without any.

    Parts of one run are as far from each other in the training text as in the text.
    """
    width = num_tokens + 2
    keys = [(places - i + num_tokens) * width + i for i, places in found if len(places)]
    if not keys:
        return 0
    breaks = np.flatnonzero(np.diff(np.sort(np.concatenate(keys))) != 1)
    borders = np.concatenate([[-1], breaks, [sum(map(len, keys)) - 1]])
    return int(np.diff(borders).max()) - 1 + length
