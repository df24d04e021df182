"""The lines of a PDF become paragraphs: by their places, in one column or two."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

_HYPHENS = "\ufffe\x02\xad"
"""How PDFium gives the hyphen of a divided word."""
_CLOSING = re.compile(r"""[.,;:!?)\]"'”’»]{1,3}""")  # noqa: RUF001
"""What stands behind the mark of a footnote may be a line of its own."""
_MAX_WORD = 25
_MAX_CROSSING = 0.15
_MIN_COLUMN_SHARE = 0.25
"""Of the lines of a document with two columns: those that cross the gutter, and those at each side of it."""


@dataclass(frozen=True)
class Line:
    """A printed line and its place in points: left and right edge, base line, and height of its letters."""

    text: str
    left: float
    right: float
    bottom: float
    height: float


def join_lines(pages: Sequence[list[Line]]) -> str:
    """Join the lines of paragraphs; a paragraph may go on across a page break. A gap before a block is a blank line."""
    lines = [line for page in pages for line in page]
    if not lines:
        return ""
    words = Counter(re.findall(r"[^\W\d_]+", " ".join(line.text for line in lines).lower()))
    gutter = _find_gutter(lines)
    halves = [
        [[line for line in page if half(line, gutter)] for page in pages] for half in (_is_left, _is_right)
    ]
    left, right = (_measure_style(half) if any(half) else None for half in halves)
    pieces = [_trim(lines[0].text)]
    for line, after in pairwise(lines):
        style = right if right and _is_right(line, gutter) else left or right
        assert style is not None
        if _CLOSING.fullmatch(after.text):
            pass
        elif style.begins(line, after):
            gap = style.is_apart(line, after)
            pieces.append("\n\n" if gap else "\n")
        elif line.text[-1:] in _HYPHENS or _divides_word(line.text, after.text, words):
            pieces[-1] = pieces[-1].rstrip("-\u2010")
        elif not line.text.endswith(("-", "\u2010", "\u2014")) and style.has_space(line, after):
            pieces.append(" ")
        pieces.append(_trim(after.text))
    return "".join(pieces)


def _trim(text: str) -> str:
    return text.translate(dict.fromkeys(map(ord, _HYPHENS)))


def _divides_word(line: str, after: str, words: Counter[str]) -> bool:
    """Return whether a printed hyphen divides a word: the text has the whole word elsewhere."""
    before = re.search(r"([^\W\d_]+)[-\u2010]$", line[-40:])
    rest = re.match(r"[^\W\d_]+", after)
    return bool(before and rest and rest[0].islower() and words[(before[1] + rest[0]).lower()])


@dataclass(frozen=True)
class _Style:
    """Where the lines of body text begin and end, and how far apart they are, in points."""

    left: float
    right: float
    leading: float
    height: float

    def begins(self, line: Line, after: Line) -> bool:
        """Return whether ``after`` begins a paragraph."""
        is_small = after.text[:1].islower()
        drop = line.bottom - after.bottom
        if drop <= 0 or drop > 20 * self.leading:  # another column or page
            return self._is_short(line, after) and not is_small
        if drop < 0.3 * self.leading:  # the rest of the same line
            return False
        is_other_size = abs(line.height - after.height) > 0.15 * max(line.height, 1)
        is_indented = (
            self.height * 0.8 < after.left - self.left < self.height * 6 and line.left < after.left - 1
        )
        return bool(
            self.is_apart(line, after)
            or (is_other_size and not is_small)
            or is_indented
            or self._is_short(line, after)
        )

    def is_apart(self, line: Line, after: Line) -> bool:
        """Return whether there is more than the usual distance between two lines."""
        return line.bottom - after.bottom > 1.25 * self.leading

    def has_space(self, line: Line, after: Line) -> bool:
        """Return whether two lines are apart; the parts of one printed line may touch."""
        is_same = abs(line.bottom - after.bottom) < 0.3 * self.leading
        return not is_same or after.left - line.right > 0.2 * self.height

    def _is_short(self, line: Line, after: Line) -> bool:
        """Return whether a line ends before the margin, though the first word of the next one would have fitted."""
        word = len(after.text.split(None, 1)[0])
        letter = min((line.right - line.left) / max(1, len(line.text)), 0.6 * line.height)
        needed = (word + 1.5) * letter
        if word > _MAX_WORD:  # a script without spaces
            needed = 0.15 * (self.right - self.left)
        return self.right - line.right > needed


def _find_gutter(lines: Sequence[Line]) -> float:
    """Find where two columns part: hardly a line crosses that place, and many are at each side. Infinity for none."""
    first, last = min(line.left for line in lines), max(line.right for line in lines)
    places = [first + share / 100 * (last - first) for share in range(30, 71)]
    crossed = {place: sum(line.left < place < line.right for line in lines) for place in places}
    place = min(places, key=lambda one: (crossed[one], abs(one - (first + last) / 2)))
    num_right = sum(line.left >= place for line in lines)
    is_apart = crossed[place] <= _MAX_CROSSING * len(lines)
    is_even = _MIN_COLUMN_SHARE * len(lines) <= num_right <= (1 - _MIN_COLUMN_SHARE) * len(lines)
    return place if is_apart and is_even else math.inf


def _is_left(line: Line, gutter: float) -> bool:
    """Return whether a line ends before the gutter; a title above both columns is in none."""
    return line.right <= gutter


def _is_right(line: Line, gutter: float) -> bool:
    return line.left >= gutter


def _measure_style(pages: Sequence[list[Line]]) -> _Style:
    """Measure the body text. Lines that reach the margin are inside paragraphs, so their distance is the leading."""
    lines = [line for page in pages for line in page]
    rights = sorted(line.right for line in lines)
    left = Counter(round(line.left) for line in lines).most_common(1)[0][0]
    right = rights[int(0.9 * (len(rights) - 1))]
    pairs = [pair for page in pages for pair in pairwise(page) if pair[0].bottom - pair[1].bottom > 1]
    full = [pair for pair in pairs if pair[0].right > right - 0.1 * (right - left)] or pairs
    usual = Counter(round(line.bottom - after.bottom) for line, after in full)
    return _Style(
        left=left,
        right=right,
        leading=usual.most_common(1)[0][0] if usual else 12.0,
        height=median(line.height for line in lines) or 10.0,
    )
