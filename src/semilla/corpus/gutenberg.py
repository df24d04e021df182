"""What surrounds and interrupts a Project Gutenberg text: header, licence, credits, notes, pictures, marks.

Markers come in many forms over thirty years. A bare ``*** START`` is none of them: the licence itself opens
with ``*** START: FULL LICENSE ***``. Patterns for the end stand at a line's beginning, so that no book is
cut in a sentence that mentions its end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from semilla.corpus.paragraphs import PICTURE_GAP

_START = re.compile(r"^[ \t]*\*{3}[ \t]*START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]*", re.M | re.I)
_MAX_TITLE_LINES = 4
_SMALL_PRINT_END = re.compile(r"^[ \t]*\*+END[ \t*]*THE SMALL PRINT![^\n]*", re.M | re.I)
_SMALL_PRINT_REACH = 60_000
"""Headers of the 1990s are some 12,000 characters long; farther in, the words belong to something else."""
_END = re.compile(
    r"^[ \t]*(?:\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG"
    r"|(?:[*_]+[ \t]*)?(?:End|Ende|Fin|Fim|Fine|Einde)\b[^\n.,;]{0,30}\bProje(?:ct|kt|to|t) Gutenberg"
    r"|\*{3}[ \t]*START: FULL LICENSE"
    r"|THE FULL PROJECT GUTENBERG LICENSE"
    r"|Updated editions will replace the previous one)",
    re.M | re.I,
)
_TRADEMARK = re.compile(
    r"Project Gutenberg|Gutenberg-tm|Gutenberg™|\b(?:www\.)?gutenberg\.(?:org|net)|\bpglaf\b|pgdp\.net", re.I
)
_METADATA = re.compile(r"^(Title|Author): *(.+(?:\n {3,}\S.*)*)$", re.M)

_CREDITS = re.compile(
    r"[\[(_*]*(?:(?:E-?(?:book|text)|HTML version|Transcription|Proofread\w*|Text file)?[ ,]*"
    r"(?:was |were )?(?:produced|prepared|transcribed|scanned|digitized|converted|proofed) (?:by|from|for)\b"
    r"|This e-?(?:book|text) was\b|Credits?:|We thank the\b|Nous remercions\b|HTML version by\b)",
    re.I,
)
_NOTE = re.compile(
    r"[\[(_*]*(?:transcriber['’]?s?['’]? notes?\b|notas? del? transcrip\w+|notes? d[eu] transcri\w+"  # noqa: RUF001
    r"|anmerkung(?:en)? (?:zur|der|des) transkri\w+|typographical errors corrected by the e)",
    re.I,
)
_FRONT_BLOCKS = 12
_MAX_FRONT_NOTE_CHARACTERS = 4_000
_MAX_BACK_NOTE_SHARE = 0.05
_MAX_TRADEMARK_LINES = 12

_PICTURE = re.compile(
    r"\[(?:Illustration|Ilustraci[oó]n|Ilustra[cç][aã]o|Abbildung)\b(?>[^\[\]]+|\[[^\[\]]*+\]){0,50}\]", re.I
)
_PICTURE_LINE = re.compile(rf"^[ \t]*{_PICTURE.pattern}[ \t]*$", re.M | re.I)
_DRAWN_HEADING = re.compile(
    r"^[ \t]*((?:chapter|cap[ií]tulo|chapitre|kapitel) [ivxlc\d]+\.?)[ \t]*\]*$", re.M | re.I
)
_PAGE_NUMBER = re.compile(
    r"\{(?:pg |p\. ?)?\d{1,4}\}|\[(?:(?:pg|page|p\.|p[aá]g\.?) ?)?\d{1,3}[a-z]?\]", re.I
)
_PAGE_NUMBER_LINE = re.compile(rf"^[ \t]*(?:{_PAGE_NUMBER.pattern})[ \t]*$", re.M | re.I)
_INDEX_LINE = re.compile(
    r"^.{0,90}?\S(?= {3}| ?\. \.|\.{5})[ .]{3,120}+(?:\d{1,4}|[ivxlc]{1,7})$\n?"
    r"|^ {8,}(?:page|p[aá]g\w*\.?)$\n?",
    re.M | re.I,
)
"""An entry of a table of contents: a gap or leading dots, then a page number."""
_LAYOUT = re.compile(r"/\*(?: [A-Z]{2,}\b)? *(.*?) *\*/")
_SUPERSCRIPT = re.compile(r"\^\{([^{}\n]*)\}")
_BOLD_LINE = re.compile(r"^([#=+])(\S.*)\1$", re.M)
_ITALICS = re.compile(r"(?<!_)_(?!_)")
_DOUBLE_DASH = re.compile(r"(?<!-)--(?!-)")
_ORNAMENT = re.compile(r"^[ \t]*(?:[*·•.~—–=_-][ \t]*){3,}$", re.M)  # noqa: RUF001 - dashes of all lengths


@dataclass
class Body:
    """The book's own text between the markers; ``markers`` is both, start, end or none."""

    text: str
    markers: str
    title: str | None = None
    author: str | None = None
    removed: Counter[str] = field(default_factory=Counter)


def is_from_gutenberg(text: str) -> bool:
    """Tell whether the file carries a marker or the name of Project Gutenberg."""
    return _TRADEMARK.search(text) is not None


def strip_header_and_licence(text: str) -> Body:
    """Keep what stands between each start marker and the next end marker; without any marker, everything."""
    metadata = {name: " ".join(value.split()) for name, value in _METADATA.findall(text[:_SMALL_PRINT_REACH])}
    pieces, found = [], set()
    for start, end, markers in _find_bodies(text):
        pieces.append(text[start:end])
        found |= markers
    body = "\n\n".join(pieces)
    return Body(
        text=body,
        markers="both" if len(found) == 2 else next(iter(found), "none"),
        title=metadata.get("Title"),
        author=metadata.get("Author"),
        removed=Counter(boilerplate_characters=len(text) - len(body)),
    )


def _find_bodies(text: str) -> Iterator[tuple[int, int, set[str]]]:
    """Start, end and markers of each body; a file may hold several books, one after another."""
    position = 0
    while True:
        start = _find_start(text, position)
        if start is None and position:
            return
        end = _END.search(text, position if start is None else start)
        markers = {"start"} if start is not None else set()
        yield start or 0, end.start() if end else len(text), markers | ({"end"} if end else set())
        if end is None:
            return
        position = end.end()


def _find_start(text: str, position: int) -> int | None:
    """Where the text begins after the header at ``position``: after the later of the two kinds of marker."""
    small_print = _SMALL_PRINT_END.search(text, position, position + _SMALL_PRINT_REACH)
    marker = _START.search(text, position)
    ends = [small_print.end()] if small_print else []
    if marker:
        ends.append(_find_title_end(text, marker))
    return max(ends, default=None)


def _find_title_end(text: str, marker: re.Match[str]) -> int:
    """Find the end of a start marker whose title may wrap over the next lines, up to the closing stars."""
    end = marker.end()
    for line in text[end : end + 1000].split("\n")[1:_MAX_TITLE_LINES]:
        if marker[0].rstrip().endswith("***") or not line.strip():
            break
        end += 1 + len(line)
        if line.rstrip().endswith("***"):
            return end
    return marker.end()


# ---- what interrupts the text


def strip_apparatus(body: Body) -> None:
    """Take credits, notes, pictures, ornaments and paged indexes out of a body, whole lines at a time.

    Captions go with their pictures, for they quote the text. Inline marks stay for ``strip_marks``: without
    them the lengths of the lines would no longer tell where they were wrapped.
    """
    removed, text = body.removed, body.text
    text, removed["pictures"] = _remove_pictures(text)
    text = _filter_blocks(text, removed)
    text, removed["page_numbers"] = _PAGE_NUMBER_LINE.subn(PICTURE_GAP, text)
    text, removed["index_lines"] = _INDEX_LINE.subn("", text)
    body.text, removed["ornaments"] = _ORNAMENT.subn("", text)


def strip_marks(text: str, *, removed: Counter[str]) -> str:
    """Undo typing conventions: page and note numbers, ``_italics_``, ``--`` for a dash, layout marks."""
    for kind, pattern, replacement in (
        ("page_numbers", _PAGE_NUMBER, ""),
        ("layout_marks", _LAYOUT, r"\1"),
        ("layout_marks", _SUPERSCRIPT, r"\1"),
        ("emphasis_marks", _BOLD_LINE, r"\2"),
        ("emphasis_marks", _ITALICS, ""),
        ("double_dashes", _DOUBLE_DASH, "—"),
    ):
        text, count = pattern.subn(replacement, text)
        removed[kind] += count
    return text


def _remove_pictures(text: str) -> tuple[str, int]:
    def keep_heading(picture: re.Match[str]) -> str:
        heading = _DRAWN_HEADING.search(picture[0])
        return f"\n{heading[1]}\n" if heading else PICTURE_GAP

    text, num_blocks = _PICTURE_LINE.subn(keep_heading, text)
    text, num_inline = _PICTURE.subn("", text)
    return text, num_blocks + num_inline


def _filter_blocks(text: str, removed: Counter[str]) -> str:
    """Drop credits at the front, transcriber's notes at both ends, and paragraphs that name the trademark."""
    parts = re.split(r"(\n(?:[ \t]*\n)+)", text)
    kept: list[str] = []
    position, num_blocks, in_note = 0, 0, False
    for block, gap in zip(parts[::2], [*parts[1::2], ""], strict=True):
        is_front = num_blocks < _FRONT_BLOCKS and position < _MAX_FRONT_NOTE_CHARACTERS
        is_back = position > (1 - _MAX_BACK_NOTE_SHARE) * len(text)
        kind = _classify_block(block, is_front=is_front, is_back=is_back, in_note=in_note)
        if kind:
            removed[kind] += 1
        kept += ["" if kind else block, gap]
        # A note ends where two blank lines follow it; at the back of a book it has no end.
        in_note = kind == "transcriber_notes" and (is_back or (is_front and gap.count("\n") < 3))
        position += len(block) + len(gap)
        num_blocks += bool(block.strip())
    return "".join(kept)


def _classify_block(block: str, *, is_front: bool, is_back: bool, in_note: bool) -> str | None:
    opening = block.strip()
    if not opening:
        return "transcriber_notes" if in_note else None
    if in_note or ((is_front or is_back) and _NOTE.match(opening)):
        return "transcriber_notes"
    if is_front and _CREDITS.match(opening):
        return "credits"
    if _TRADEMARK.search(block) and block.count("\n") < _MAX_TRADEMARK_LINES:
        return "trademark_paragraphs"
    return None
