"""The header, markers and licence around a Project Gutenberg text, in all their forms since the 1990s.

Only what these enclose is treated as a book. A text before, between or after books is somebody's own.

A bare ``*** START`` is not a marker: the licence itself begins with ``*** START: FULL LICENSE ***``. Patterns for the
end match only at the start of a line, so that a sentence that mentions the end does not cut a book.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise

from semilla.corpus.cleaning.ledger import Ledger

TRADEMARK = re.compile(
    r"Project\s+Gutenberg|Gutenberg-tm|Gutenberg™|\b(?:www\.)?gutenberg\.(?:org|net)|\bpglaf\b|pgdp\.net",
    re.I,
)
_START = re.compile(r"^[ \t]*\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*", re.M | re.I)
_MAX_TITLE_LINES = 4
_SMALL_PRINT_END = re.compile(r"^[ \t]*\*+END[ \t*]*THE SMALL PRINT![^\n]*", re.M | re.I)
_SMALL_PRINT_REACH = 60_000
"""Headers of the 1990s are about 12,000 characters long. Further in, a match is something else."""
_HEADER_OPENING = re.compile(r"^[ \t*_\ufeff]*(?:The |This is the |A )?Project Gutenberg\b", re.M | re.I)
_HEADER_LINE = re.compile(
    r"^(?:Title|Author|Translator|Editor|Illustrator|Release Date|Posting Date|Language|Character set encoding"
    r"|Produced by|Credits)\b.*:",
    re.M,
)
_HEADER_CHARACTERS = 15_000
"""The longest header: that of the 1990s, with the small print."""
_END = re.compile(
    r"^[ \t]*(?:\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG"
    r"|(?:[*_]+[ \t]*)?(?:End|Ende|Fin|Fim|Fine|Einde)\b[^\n.,;]{0,30}\bProje(?:ct|kt|to|t) Gutenberg)[^\n]*",
    re.M | re.I,
)
_SURE_END = re.compile(r"[ \t]*(?:\*{3}|[*_]*[ \t]*End of (?:the |this )?Project Gutenberg)", re.I)
"""An end that needs no start marker to be believed."""
_LICENCE_OPENING = re.compile(
    r"^[ \t]*(?:\*{3}[ \t]*START: FULL LICENSE|THE FULL PROJECT GUTENBERG LICENSE)", re.M | re.I
)
_LICENCE_CLOSING = re.compile(
    r"newsletter to hear about new eBooks\.(?:(?s:.{0,3000}?)\*{3}[ \t]*END: FULL LICENSE[^\n]*)?", re.I
)
_LICENCE_LENGTHS = (1_000, 25_000)
"""Fewest and most characters between the opening of a licence and its closing."""
_LICENCE_START = re.compile(
    rf"{_LICENCE_OPENING.pattern}|^[ \t]*Updated editions will replace the prev", re.M | re.I
)
"""Ends a text that has no end marker."""
_FOOTER_CHARACTERS = 6_000
"""Between an end marker and the licence: the file's name, credits, conditions."""
_FOOTER_LINE = re.compile(
    rf"\s*(?:{_END.pattern.removeprefix('^')}|\*+ *This file should be named[^\n]*)", re.I
)
_MARK_WORDS = (b"gutenberg", b"mall pr", b"full l")
"""One is in every marker and every opening of a licence: Gutenberg, small print, or full license. Without i and s,
which other letters match as well when case is ignored."""
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")
_METADATA = re.compile(r"^(Title|Author): *(.+(?:\n {3,}\S.*)*)$", re.M)
_METADATA_REACH = 2_000
_SHORT_TITLE = 35


@dataclass(frozen=True)
class Piece:
    """A part of a file: the body of a book, or somebody's own text."""

    text: str
    is_book: bool


@dataclass
class Pieces:
    """The parts of a file without headers and licences. ``markers`` is both, start, end or none."""

    pieces: list[Piece] = field(default_factory=list)
    markers: str = "none"
    title: str | None = None
    author: str | None = None

    @property
    def own_characters(self) -> int:
        """Characters of the text that is not inside a book, in a file that has books."""
        return sum(len(piece.text) for piece in self.pieces if not piece.is_book) if self.has_book else 0

    @property
    def has_book(self) -> bool:
        return any(piece.is_book for piece in self.pieces)


def opens_like_gutenberg(text: str) -> bool:
    """Return whether a file begins as a header does."""
    return _HEADER_OPENING.match(text.lstrip()[:200]) is not None


def names_gutenberg(text: str) -> bool:
    """Return whether a file names Project Gutenberg where its headers do. A text may mention it later."""
    return re.search(r"Project Gutenberg", text[:_METADATA_REACH], re.I) is not None


def has_end_marker(text: str) -> bool:
    """Return whether a text holds the marker that ends a Project Gutenberg text."""
    return _END.search(text) is not None


def separate_books(text: str, *, ledger: Ledger) -> Pieces:
    """Separate the books of a file from the text around them; headers, markers and licences are removed.

    A licence is removed wherever it stands. A file without markers is one piece of its own text.
    """
    lines = _find_marked_lines(text)
    licences = list(_find_licences(text, lines))
    spans = list(_find_spans(text, lines, licences))
    books = [span for span in spans if span[2]]
    pieces, position = [], 0
    for begin, end, markers in spans:
        parts = list(_leave_out(licences, begin, end))
        for first, last in parts:
            ledger.note("header_and_licence", text[position:first])
            position = last
        content = "\n\n".join(text[first:last] for first, last in parts)
        if content.strip():
            pieces.append(Piece(content, is_book=bool(markers)))
    ledger.note("header_and_licence", text[position:])
    header = spans[0][1] if books and not spans[0][2] else 0
    metadata = {
        name: _join_title(value) for name, value in _METADATA.findall(text, header, header + _METADATA_REACH)
    }
    found = set[str]().union(*(markers for _, _, markers in books))
    return Pieces(
        pieces,
        markers="both" if len(found) == 2 else next(iter(found), "none"),
        title=metadata.get("Title"),
        author=metadata.get("Author"),
    )


def _join_title(value: str) -> str:
    """Join the lines of a title. After a short first line comes a subtitle, after a long one the rest of the title."""
    first, *rest = (" ".join(line.split()) for line in value.split("\n"))
    separator = ": " if len(first) < _SHORT_TITLE else " "
    return separator.join([first, " ".join(rest)] if rest else [first])


def _find_marked_lines(text: str) -> list[int]:
    """Where the lines begin that may be a marker: trying a pattern at every line is slow."""
    data = text.encode("utf-8", "surrogatepass")
    lowered = data.lower()
    starts: set[int] = set()
    for word in _MARK_WORDS:
        place = lowered.find(word)
        while place >= 0:
            starts.add(data.rfind(b"\n", 0, place) + 1)
            place = lowered.find(word, place + 1)
    lines = pairwise([0, *sorted(starts)])
    return list(
        accumulate(len(data[before:start].decode("utf-8", "surrogatepass")) for before, start in lines)
    )


class _Marks:
    """All matches of a pattern, found in one pass, so that looking for the next one never reads the text again.

    The pass is made when a match is first asked for. With ``lines``, only those that begin there are tried.
    """

    def __init__(self, text: str, pattern: re.Pattern[str], lines: Sequence[int] | None = None) -> None:
        self._text, self._pattern, self._lines = text, pattern, lines

    @cached_property
    def _found(self) -> list[re.Match[str]]:
        if self._lines is None:
            return list(self._pattern.finditer(self._text))
        tried = (self._pattern.match(self._text, start) for start in self._lines)
        return [match for match in tried if match]

    @cached_property
    def _starts(self) -> list[int]:
        return [match.start() for match in self._found]

    def __iter__(self) -> Iterator[re.Match[str]]:
        return iter(self._found)

    def find(self, start: int, last: int | None = None) -> re.Match[str] | None:
        """Return the first match that starts at ``start`` or later, and at ``last`` or earlier."""
        index = bisect_left(self._starts, start)
        if index == len(self._starts) or (last is not None and self._starts[index] > last):
            return None
        return self._found[index]


def _find_licences(text: str, lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Find each licence, from its opening to the next closing, if that is neither too near nor too far."""
    openings = _Marks(text, _LICENCE_OPENING, lines)
    closings = _Marks(text, _LICENCE_CLOSING)
    shortest, longest = _LICENCE_LENGTHS
    position = 0
    for opening in openings:
        closing = closings.find(opening.end() + shortest, opening.end() + longest)
        if closing and opening.start() >= position:
            yield opening.start(), closing.end()
            position = closing.end()


def _leave_out(licences: Sequence[tuple[int, int]], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a span that are outside licences."""
    for first, last in licences[bisect_left(licences, (begin, 0)) :]:
        if first >= end:
            break
        yield begin, first
        begin = min(last, end)
    yield begin, end


def _find_spans(
    text: str, lines: Sequence[int], licences: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, set[str]]]:
    """Find begin, end and markers of each book, and of the text before, between and after, which has no markers."""
    starts, small_prints = _Marks(text, _START, lines), _Marks(text, _SMALL_PRINT_END, lines)
    ends, openings = _Marks(text, _END, lines), _Marks(text, _LICENCE_START)
    headers, header_lines = _Marks(text, _HEADER_OPENING), _Marks(text, _HEADER_LINE)
    position = 0
    while True:
        marker, small_print = (
            starts.find(position),
            small_prints.find(position, position + _SMALL_PRINT_REACH),
        )
        first = (
            min(one.start() for one in (marker, small_print) if one) if marker or small_print else len(text)
        )
        early_end = ends.find(position, first)
        if early_end and _SURE_END.match(early_end[0]):
            yield position, early_end.start(), {"end"}
            position = _find_footer_end(text, early_end.end(), licences)
            continue
        if first == len(text):
            yield position, first, set()
            return
        reach = max(position, first - _HEADER_CHARACTERS)
        header = headers.find(reach, first) or header_lines.find(reach, first)
        yield position, header.start() if header else first, set()
        # The text begins after the later of the two kinds of marker.
        begins = [_find_title_end(text, marker)] if marker else []
        begin = max([*begins, small_print.end()] if small_print else begins)
        marked_end = ends.find(begin)
        end = marked_end or openings.find(begin)
        yield begin, end.start() if end else len(text), {"start", "end"} if marked_end else {"start"}
        if end is None:
            return
        position = _find_footer_end(text, end.end(), licences)


def _find_footer_end(text: str, position: int, licences: Sequence[tuple[int, int]]) -> int:
    """Find the end of what follows an end marker: the rest of its title, a second marker, the licence."""
    index = bisect_left(licences, (position, 0))
    if index and licences[index - 1][1] > position:  # the opening of a licence was the end
        return licences[index - 1][1]
    if index < len(licences) and licences[index][0] - position < _FOOTER_CHARACTERS:
        return licences[index][1]
    opening = _LICENCE_START.search(text, position, position + _FOOTER_CHARACTERS)
    if opening:  # a licence that was cut off
        mentions = list(TRADEMARK.finditer(text, position, opening.end() + _LICENCE_LENGTHS[1]))
        return _end_paragraph(text, max([opening.end(), *(mention.end() for mention in mentions)]))
    if not text[:position].endswith("***"):
        lines = text[position : _end_paragraph(text, position)].split("\n")[:_MAX_TITLE_LINES]
        position += len("\n".join(lines))
    while (line := _FOOTER_LINE.match(text, position)) is not None:
        position = _end_paragraph(text, line.end())
    return position


def _end_paragraph(text: str, position: int) -> int:
    end = _PARAGRAPH_END.search(text, position)
    return end.start() if end else len(text)


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
