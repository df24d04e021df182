"""Splits a long document: the last tenth is its validation part, the rest its training part.

Documents are split before they are cut into windows. Both parts are contiguous and disjoint, so no window contains
text of both. ``semilla.corpus.held_out`` chooses among short documents, which are never cut.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Lines = npt.NDArray[np.int64]
"""A hash and a length for each of some lines, [N, 2]."""
_NO_LINES = np.zeros((0, 2), np.int64)

VALIDATION_SHARE = 0.1
_REACH_SHARE = 0.02
"""How far the cut may move, as a share of the document, to reach a line break or a space."""
_MIN_COMPARED_CHARACTERS = 50
_JOINERS = {"\u200d", "\ufe0e", "\ufe0f"}


def find_cut(text: str) -> int:
    """Find the offset, in characters, of the first validation character.

    The cut is at the line break nearest to nine tenths of the text, else between words, else between characters, and
    never between a character and its accents. Neither part is empty when the text has two characters or more.
    """
    target = len(text) - round(VALIDATION_SHARE * len(text))
    reach = int(_REACH_SHARE * len(text))
    for separator in ("\n", " "):
        cut = _find_nearest(text, separator, target=target, reach=reach)
        if cut is not None:
            return cut
    return _avoid_accents(text, min(max(target, 1), max(len(text) - 1, 0)))


class OverlapGauge:
    """Measures how much validation text is also in training text, by lines of 50 characters or more.

    With two editions of one book, validation would test memory. Repetition inside a normal text is far below a tenth.
    """

    def __init__(self) -> None:
        self._trained: list[Lines] = []
        self._held_out: list[Lines] = []

    def add(self, lines: Lines, *, held_out: bool) -> None:
        """Add the long lines of some training text, or of some that is held out."""
        (self._held_out if held_out else self._trained).append(lines)

    @property
    def share(self) -> float:
        """Share of the long validation lines, by characters, that are also in some training part."""
        trained, held_out = (np.concatenate([_NO_LINES, *one]) for one in (self._trained, self._held_out))
        is_seen = np.isin(held_out[:, 0], trained[:, 0])
        seen, total = (int(held_out[chosen, 1].sum()) for chosen in (is_seen, slice(None)))
        return seen / total if total else 0.0


def hash_long_lines(text: str) -> Lines:
    """The lines of 50 characters or more."""
    lines = [line for line in text.split("\n") if len(line) >= _MIN_COMPARED_CHARACTERS]
    return np.column_stack([hash_all(map(str.encode, lines)), np.array(list(map(len, lines)), np.int64)])


def hash_all(contents: Iterable[bytes]) -> npt.NDArray[np.int64]:
    """64 bits of each, the same in every process, so that a sample by hash is the same, too."""
    digests = b"".join([blake2b(content, digest_size=8).digest() for content in contents])
    return np.frombuffer(digests, "<i8").astype(np.int64, copy=False)


def _find_nearest(text: str, separator: str, *, target: int, reach: int) -> int | None:
    """Find the offset just after the separator nearest to ``target``. Neither side may be empty."""
    before = text.rfind(separator, max(target - 1 - reach, 0), target) + 1
    after = text.find(separator, target, min(target + reach, len(text) - 1)) + 1
    found = [cut for cut in (before, after) if 0 < cut < len(text)]
    return min(found, key=lambda cut: abs(cut - target), default=None)


def _avoid_accents(text: str, cut: int) -> int:
    while 0 < cut < len(text) and (unicodedata.combining(text[cut]) or {text[cut], text[cut - 1]} & _JOINERS):
        cut -= 1
    return cut
