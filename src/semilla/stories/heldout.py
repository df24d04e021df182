"""Combinations of character, object and plot that no training story has, whatever its seed.

A story about one of them was put together by the model: it knows the character, the object and the plot, but has
never met the three at once.
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
    """Tell by a hash, so that new words and plots leave the fate of the others alone."""
    text = f"{combination.plot}/{combination.character}/{combination.object}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32
