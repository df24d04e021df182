"""PDF: paragraphs from the places of its lines. Headers, footers and page numbers go; divided words are joined."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from semilla.corpus.formats.extracted import (
    MAX_FILE_BYTES,
    Extracted,
    ReadOptions,
    UnreadableError,
    shorten_language,
)
from semilla.corpus.formats.pdf_paragraphs import Line, join_lines

_MAX_PAGES = 20_000
_EDGE_LINES = 2
"""Lines at the top and at the bottom of a page that may be its header or footer."""
_MIN_REPEATS = 3
_DIGITS = re.compile(r"\d+|(?<![A-Za-z])[ivxlc]{1,7}(?![A-Za-z])")
_PAGE_NUMBER = re.compile(
    r"\W{0,8}(?:page |página |seite )?(?:\d{1,5}|[ivxlc]{1,7})\W{0,8}(?:(?:of|de|von|/) {0,3}\d{1,5}\W{0,8})?",
    re.I,
)


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
            raise UnreadableError(
                f"{name} holds more than {MAX_FILE_BYTES >> 22} million characters of text",
                reason="too large",
            )
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
