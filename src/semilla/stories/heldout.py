"""Combinations of character, object and plot that no training story has, with any seed.

A model that tells a story about one of them has composed it: it knows the character, the object and the plot, but has
never read about the three together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

HELD_OUT_SHARE = 0.125


@dataclass(frozen=True, slots=True)
class Combination:
    """What the hero is (``girl``, ``fox``), what the story's object is (``kite``), and the plot's file name."""

    character: str
    object: str
    plot: str


@cache
def is_held_out(combination: Combination) -> bool:
    """Decide by a hash, so that new words and plots do not change which of the others are held out."""
    text = f"{combination.plot}/{combination.character}/{combination.object}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32
