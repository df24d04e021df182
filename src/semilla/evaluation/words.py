"""Measures the words of generated text: those that occur in no training or validation text are invented.

A word is a run of letters. Scripts that do not separate words, such as Chinese and Thai, are left out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from semilla.records.sample import Sample

_UNSEPARATED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters."""
_WORD = re.compile(rf"(?:(?![{_UNSEPARATED}])[^\W\d_])+")
NUM_EXAMPLES = 5


@dataclass(frozen=True)
class Invention:
    """Share of invented words, NaN without any word; the words counted; the most frequent invented ones."""

    share: float
    num_words: int
    examples: list[str]


def list_known_words(texts: Iterable[str]) -> set[str]:
    """Every word of ``texts``, case folded."""
    return {word.casefold() for text in texts for word in _WORD.findall(text)}


def measure_invention(samples: Iterable[Sample], known: set[str]) -> Invention:
    """Compare the words that the model wrote, or completed, with the ``known`` ones."""
    words = [word for sample in samples for word in _list_written(sample)]
    invented = Counter(word for word in words if word not in known)
    share = invented.total() / len(words) if words else math.nan
    return Invention(share, len(words), [word for word, _ in invented.most_common(NUM_EXAMPLES)])


def _list_written(sample: Sample) -> list[str]:
    """The words that end after the prompt, without the last one of a text that was cut."""
    found = _WORD.finditer(sample.whole)
    words = [word.group().casefold() for word in found if word.end() > len(sample.prompt)]
    return words[:-1] if sample.ended == "limit" else words
