"""PDF: paragraphs from the places of its lines. Headers, footers and page numbers go; divided words are joined."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from semilla.corpus.formats.extracted import (
    MAX_FILE_BYTES,
    Extracted,
    ReadOptions,
    UnreadableError,
    shorten_language,
)

_MAX_PAGES = 20_000
_HYPHENS = "\ufffe\x02\xad"
"""How PDFium gives the hyphen of a divided word."""
_EDGE_LINES = 2
"""Lines at the top and at the bottom of a page that may be its header or footer."""
_MIN_REPEATS = 3
_DIGITS = re.compile(r"\d+|(?<![A-Za-z])[ivxlc]{1,7}(?![A-Za-z])")
_PAGE_NUMBER = re.compile(
    r"\W{0,8}(?:page |página |seite )?(?:\d{1,5}|[ivxlc]{1,7})\W{0,8}(?:(?:of|de|von|/) {0,3}\d{1,5}\W{0,8})?",
    re.I,
)


@dataclass(frozen=True)
class Line:
    """A printed line and its place in points: left and right edge, base line, and height of its letters."""

    text: str
    left: float
    right: float
    bottom: float
    height: float


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:  # noqa: ARG001 - every reader has them
    """Read one document. Raises UnreadableError for encrypted and damaged files, and for pictures of pages."""
    import pypdfium2  # noqa: PLC0415

    try:
        document = pypdfium2.PdfDocument(data)
        pages = list(_list_pages(document, name=name))
        facts = document.get_metadata_dict()
        language = document.get_metadata_value("Lang") if "Lang" in facts else None
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnreadableError(f"{name} is encrypted: it needs a password", reason="encrypted") from error
        raise UnreadableError(f"{name} is not a sound PDF: {error}", reason="unreadable") from error
    if not any(pages):
        raise UnreadableError(
            f"{name} holds no text: its {len(pages):,} pages are pictures; recognize their text (OCR) first",
            reason="empty",
        )
    bodies, num_removed = remove_running_lines(pages)
    yield Extracted(
        join_lines(bodies),
        title=" ".join(facts.get("Title", "").split()) or None,
        author=" ".join(facts.get("Author", "").split()) or None,
        language=shorten_language(language),
        removed={"page_headers": num_removed} if num_removed else {},
    )


def _list_pages(document: Any, *, name: str) -> Iterator[list[Line]]:
    num_characters = 0
    for number in range(min(len(document), _MAX_PAGES)):
        page = document[number]
        text_page = page.get_textpage()
        lines = _list_lines(text_page)
        text_page.close()
        page.close()
        num_characters += sum(len(line.text) for line in lines)
        if num_characters > MAX_FILE_BYTES // 4:
            raise UnreadableError(f"{name} holds more text than a file may", reason="too large")
        yield lines


def _list_lines(text_page: Any) -> list[Line]:
    """Split the characters of a page at its line ends, and measure each line."""
    import pypdfium2.raw as pdfium  # noqa: PLC0415

    lines: list[Line] = []
    characters: list[str] = []
    places: list[int] = []
    for place in range(text_page.count_chars()):
        code = pdfium.FPDFText_GetUnicode(text_page, place)
        if code in {10, 13}:
            if characters:
                lines.append(_measure_line(text_page, characters, places))
            characters, places = [], []
            continue
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            continue
        if chr(code).isdigit() and places and _is_raised(text_page, place, places[-1]):
            continue  # the mark of a footnote
        characters.append(chr(code))
        if not chr(code).isspace():
            places.append(place)
    if characters:
        lines.append(_measure_line(text_page, characters, places))
    return [line for line in lines if line.text.strip()]


def _is_raised(text_page: Any, place: int, before: int) -> bool:
    """Return whether a character is much smaller than the one before it in its line."""
    import pypdfium2.raw as pdfium  # noqa: PLC0415

    size, usual = (float(pdfium.FPDFText_GetFontSize(text_page, one)) for one in (place, before))
    return 0 < size < 0.75 * usual


def _measure_line(text_page: Any, characters: Sequence[str], places: Sequence[int]) -> Line:
    import pypdfium2.raw as pdfium  # noqa: PLC0415

    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    edges: list[tuple[float, float, float, float]] = []
    for place in (*places[:4], *places[-4:]):
        if pdfium.FPDFText_GetCharBox(text_page, place, left, right, bottom, top):
            edges.append((left.value, right.value, bottom.value, top.value))
    text = "".join(characters).strip(" \t")
    if not edges:
        return Line(text, 0, 0, 0, 0)
    size = pdfium.FPDFText_GetFontSize(text_page, places[0])
    x_left, x_right = min(one[0] for one in edges), max(one[1] for one in edges)
    # Letters have no tails on the base line, so the median of the lower edges is near it.
    base = median(one[2] for one in edges)
    return Line(text, x_left, x_right, base, size or max(one[3] - one[2] for one in edges))


def remove_running_lines(pages: Sequence[list[Line]]) -> tuple[list[list[Line]], int]:
    """Remove page numbers, and lines that stand at the edge of many pages; return how many characters went."""
    edges = [_find_edges(lines) for lines in pages]
    height = median([line.height for lines in pages for line in lines] or [0])
    counts = Counter(
        key
        for lines, places in zip(pages, edges, strict=True)
        for key in {_describe(lines[one]) for one in places if lines[one].height < 1.1 * height}
    )
    least = max(_MIN_REPEATS, len(pages) // 10)
    numbers = [
        {one for one in places if _PAGE_NUMBER.fullmatch(lines[one].text)}
        for lines, places in zip(pages, edges, strict=True)
    ]
    has_numbers = sum(map(bool, numbers)) >= min(2, len(pages))
    bodies, num_removed = [], 0
    for lines, places, numbered in zip(pages, edges, numbers, strict=True):
        dropped = {one for one in places if counts[_describe(lines[one])] >= least}
        dropped |= numbered if has_numbers else set()
        num_removed += sum(len("".join(lines[one].text.split())) for one in dropped)
        bodies.append([line for place, line in enumerate(lines) if place not in dropped])
    return bodies, num_removed


def _find_edges(lines: list[Line]) -> set[int]:
    """Places of the highest and the lowest lines of a page."""
    order = sorted(range(len(lines)), key=lambda place: lines[place].bottom)
    return set(order[:_EDGE_LINES] + order[-_EDGE_LINES:])


def _describe(line: Line) -> tuple[str, int]:
    """What the headers of all pages share: their words without numbers, and their height on the page."""
    return _DIGITS.sub("#", line.text.strip()), round(line.bottom / 4)


def join_lines(pages: Sequence[list[Line]]) -> str:
    """Join the lines of paragraphs; a paragraph may go on across a page break. A gap before a block is a blank line."""
    lines = [line for page in pages for line in page]
    if not lines:
        return ""
    words = Counter(re.findall(r"[^\W\d_]+", " ".join(line.text for line in lines).lower()))
    style = _measure_style(lines, pages)
    pieces = [_trim(lines[0].text)]
    for line, after in pairwise(lines):
        if style.begins(line, after):
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
            return self._is_short(line) and not is_small
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
            or self._is_short(line)
        )

    def is_apart(self, line: Line, after: Line) -> bool:
        """Return whether there is more than the usual distance between two lines."""
        return line.bottom - after.bottom > 1.25 * self.leading

    def has_space(self, line: Line, after: Line) -> bool:
        """Return whether two lines are apart; the parts of one printed line may touch."""
        is_same = abs(line.bottom - after.bottom) < 0.3 * self.leading
        return not is_same or after.left - line.right > 0.2 * self.height

    def _is_short(self, line: Line) -> bool:
        """Return whether a line ends before the margin, by more than a long word."""
        return self.right - line.right > 0.15 * (self.right - self.left)


def _measure_style(lines: Sequence[Line], pages: Sequence[list[Line]]) -> _Style:
    """Measure the body text. Lines that reach the margin are inside paragraphs, so their distance is the leading."""
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
