"""Finds two columns of prose side by side, as a printed page has them: read line by line, they alternate.

Each half must be prose by itself: lines that are full, with sentences that go on in the line below. Tables, glossaries
and verse with a gap in the middle are not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from semilla.corpus.cleaning.wrapping import (
    count_punctuation,
    goes_on,
    has_unspaced,
    is_full,
    is_structured,
)

_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")
_WIDE_GAPS = ("   ", "\t")
_MIN_ROWS = 10
"""Lines with text in both columns, one below the other."""
_WINDOW = 40
_MAX_WINDOWS = 500
_MIN_WORDS = 3.5
"""In a line of one column, on average."""
_MIN_FULL_SHARE, _MIN_CONTINUING_SHARE, _MIN_INNER = 0.35, 0.2, 0.2
"""Of the lines of a column, in a text of short paragraphs. The last: punctuation inside a line, which verse has not."""

Row = tuple[str, str]


def find_columns(text: str) -> str | None:
    """A line of two columns of prose, with a bar between them; None for a text that has no such columns."""
    if sum(map(text.count, _WIDE_GAPS)) < _MIN_ROWS:
        return None
    for lines in islice(_list_windows(text), _MAX_WINDOWS):
        rows = _split_rows(lines)
        if len(rows) >= _MIN_ROWS and all(map(_is_prose, zip(*rows, strict=True))):
            return " | ".join(half.strip() for half in rows[0])
    return None


def _list_windows(text: str) -> Iterator[list[str]]:
    """Stretches of lines, each with enough gaps to be two columns."""
    lines = [line.expandtabs(8) for line in text.split("\n") if line.strip()]
    for start in range(0, len(lines), _WINDOW // 2):
        window = lines[start : start + _WINDOW]
        if sum("  " in line.lstrip() for line in window) >= _MIN_ROWS:
            yield window


def _split_rows(lines: Sequence[str]) -> list[Row]:
    """The left and the right half of the lines, where most of them have a gap that ends at one place."""
    ends = [{gap.end() for gap in _GAP.finditer(line)} for line in lines]
    usual = Counter(end for found in ends for end in found).most_common(1)
    if not usual:
        return []
    place = usual[0][0]
    return [
        (line[:place].rstrip(), line[place:])
        for line, found in zip(lines, ends, strict=True)
        if place in found
    ]


def _is_prose(lines: Sequence[str]) -> bool:
    """Return whether the lines of one column were wrapped."""
    column = sorted(map(len, lines))[int(0.9 * (len(lines) - 1))]
    pairs = list(pairwise(lines))
    num_full = sum(is_full(*pair, column=column) for pair in pairs)
    num_continuing = sum(goes_on(*pair) for pair in pairs)
    num_inner, _ = count_punctuation(lines)
    num_words = sum(len(line.split()) for line in lines)
    return (
        (num_words >= _MIN_WORDS * len(lines) or has_unspaced(lines[0]))
        and num_inner >= _MIN_INNER * len(lines)
        and num_full >= _MIN_FULL_SHARE * len(pairs)
        and num_continuing >= _MIN_CONTINUING_SHARE * len(pairs)
        and not is_structured(list(lines))
    )
