"""The header, markers and licence around a Project Gutenberg text, in all their forms since the 1990s.

A bare ``*** START`` is not a marker: the licence itself begins with ``*** START: FULL LICENSE ***``. Patterns for the
end match only at the start of a line, so that a sentence that mentions the end does not cut a book.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

_START = re.compile(r"^[ \t]*\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*", re.M | re.I)
_MAX_TITLE_LINES = 4
_SMALL_PRINT_END = re.compile(r"^[ \t]*\*+END[ \t*]*THE SMALL PRINT![^\n]*", re.M | re.I)
_SMALL_PRINT_REACH = 60_000
"""Headers of the 1990s are about 12,000 characters long. Further in, a match is something else."""
_END = re.compile(
    r"^[ \t]*(?:\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG"
    r"|(?:[*_]+[ \t]*)?(?:End|Ende|Fin|Fim|Fine|Einde)\b[^\n.,;]{0,30}\bProje(?:ct|kt|to|t) Gutenberg)",
    re.M | re.I,
)
_LICENCE_OPENING = re.compile(
    r"^[ \t]*(?:\*{3}[ \t]*START: FULL LICENSE|THE FULL PROJECT GUTENBERG LICENSE)", re.M | re.I
)
_LICENCE_CLOSING = re.compile(
    r"newsletter to hear about new eBooks\.(?:\s*\*{3}[ \t]*END: FULL LICENSE[^\n]*)?", re.I
)
_LICENCE_LENGTHS = (1_000, 25_000)
"""Fewest and most characters between the opening of a licence and its closing."""
_LICENCE_START = re.compile(
    rf"{_LICENCE_OPENING.pattern}|^[ \t]*Updated editions will replace the prev", re.M | re.I
)
"""Ends a text that has no end marker."""
_METADATA = re.compile(r"^(Title|Author): *(.+(?:\n {3,}\S.*)*)$", re.M)
_HEADER_REACH = 2_000
_SHORT_TITLE = 35


@dataclass
class Body:
    """The text of the book between the markers. ``markers`` is both, start, end or none."""

    text: str
    markers: str
    num_pieces: int = 1
    title: str | None = None
    author: str | None = None
    removed: Counter[str] = field(default_factory=Counter)


def names_gutenberg(text: str) -> bool:
    """Return whether a file names Project Gutenberg where its headers do. A text may mention it later."""
    return re.search(r"Project Gutenberg", text[:_HEADER_REACH], re.I) is not None


def has_end_marker(text: str) -> bool:
    """Return whether a text holds the marker that ends a Project Gutenberg text."""
    return _END.search(text) is not None


def strip_header_and_licence(text: str) -> Body:
    """Keep the text between each start marker and the next end marker; without markers, everything."""
    whole, text = text, _remove_licences(text)
    metadata = {name: _join_title(value) for name, value in _METADATA.findall(text[:_HEADER_REACH])}
    pieces, found = [], set()
    for start, end, markers in _find_bodies(text):
        pieces.append(text[start:end])
        found |= markers
    body = "\n\n".join(pieces)
    return Body(
        text=body,
        markers="both" if len(found) == 2 else next(iter(found), "none"),
        num_pieces=len(pieces),
        title=metadata.get("Title"),
        author=metadata.get("Author"),
        removed=Counter(boilerplate_characters=len(whole) - len(body)),
    )


def _join_title(value: str) -> str:
    """Join the lines of a title. After a short first line comes a subtitle, after a long one the rest of the title."""
    first, *rest = (" ".join(line.split()) for line in value.split("\n"))
    separator = ": " if len(first) < _SHORT_TITLE else " "
    return separator.join([first, " ".join(rest)] if rest else [first])


def _remove_licences(text: str) -> str:
    """Remove each licence from its opening to the next closing, if that is neither too near nor too far."""
    closings = _Marks(text, _LICENCE_CLOSING)
    shortest, longest = _LICENCE_LENGTHS
    kept, position = [], 0
    for opening in _LICENCE_OPENING.finditer(text):
        closing = closings.find(opening.end() + shortest, opening.end() + longest)
        if closing and opening.start() >= position:
            kept.append(text[position : opening.start()])
            position = closing.end()
    return "".join([*kept, text[position:]])


class _Marks:
    """All matches of a pattern, found in one pass, so that looking for the next one never reads the text again."""

    def __init__(self, text: str, pattern: re.Pattern[str]) -> None:
        self._found = list(pattern.finditer(text))
        self._starts = [match.start() for match in self._found]

    def find(self, start: int, last: int | None = None) -> re.Match[str] | None:
        """Return the first match that starts at ``start`` or later, and at ``last`` or earlier."""
        index = bisect_left(self._starts, start)
        if index == len(self._starts) or (last is not None and self._starts[index] > last):
            return None
        return self._found[index]


def _find_bodies(text: str) -> Iterator[tuple[int, int, set[str]]]:
    """Find start, end and markers of each body. A file may contain several books."""
    starts, small_prints = _Marks(text, _START), _Marks(text, _SMALL_PRINT_END)
    ends, licences = _Marks(text, _END), _Marks(text, _LICENCE_START)
    position = 0
    while True:
        # The text begins after the later of the two kinds of marker.
        marker, small_print = (
            starts.find(position),
            small_prints.find(position, position + _SMALL_PRINT_REACH),
        )
        if position and not (marker or small_print):
            return
        begins = [_find_title_end(text, marker)] if marker else []
        begins += [small_print.end()] if small_print else []
        begin = max(begins, default=position)
        end = ends.find(begin) or licences.find(begin)
        markers = ({"start"} if begins else set()) | ({"end"} if end else set())
        yield begin, end.start() if end else len(text), markers
        if end is None:
            return
        position = end.end()


def _find_title_end(text: str, marker: re.Match[str]) -> int:
    """Find the end of a start marker. Its title may continue on the next lines, up to the closing stars."""
    end = marker.end()
    for line in text[end : end + 1000].split("\n")[1:_MAX_TITLE_LINES]:
        if marker[0].rstrip().endswith("***") or not line.strip():
            break
        end += 1 + len(line)
        if line.rstrip().endswith("***"):
            return end
    return marker.end()
