"""The boilerplate inside a Gutenberg text: credits, transcribers' notes, pictures, page numbers, typing marks."""

from __future__ import annotations

import re
from collections import Counter

from semilla.corpus.cleaning.gutenberg import Body
from semilla.corpus.cleaning.paragraphs import PICTURE_GAP

_TRADEMARK = re.compile(
    r"Project\s+Gutenberg|Gutenberg-tm|Gutenberg™|\b(?:www\.)?gutenberg\.(?:org|net)|\bpglaf\b|pgdp\.net",
    re.I,
)
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
_NOTE_HEADING = re.compile(r"[^\n.\]]{1,60}")
_NOTE_ITEM = re.compile(r"[ \t]+\S|[*•-]|\d+[.)]")
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
"""An entry of a table of contents: a gap or dots, then a page number."""
_LAYOUT = re.compile(r"/\*(?: [A-Z]{2,}\b)?(.{0,160}?)\*/")
_SUPERSCRIPT = re.compile(r"\^\{([^{}\n]*)\}")
_BOLD_LINE = re.compile(r"^([#=+])(\S.*)\1$", re.M)
_ITALICS = re.compile(r"(?<!_)_(?!_)")
_DOUBLE_DASH = re.compile(r"(?<!-)--(?!-)")
_ORNAMENT = re.compile(r"^[ \t]*(?:[*·•.~—–=_-][ \t]*){3,}$", re.M)  # noqa: RUF001 - dashes of all lengths


def strip_boilerplate(body: Body) -> None:
    """Remove credits, notes, pictures, ornaments and tables of contents from a body, whole lines at a time.

    Captions are removed with their pictures, because they quote the text. Inline marks stay until ``strip_marks``:
    without them, the line lengths would no longer show where lines were wrapped.
    """
    removed, text = body.removed, body.text
    text, removed["pictures"] = _remove_pictures(text)
    text = _filter_blocks(text, removed)
    text, removed["page_numbers"] = _PAGE_NUMBER_LINE.subn(f"\n{PICTURE_GAP}\n", text)
    text, removed["index_lines"] = _INDEX_LINE.subn("", text)
    body.text, removed["ornaments"] = _ORNAMENT.subn("", text)


def strip_marks(text: str, *, removed: Counter[str]) -> str:
    """Remove page and note numbers, layout marks and the marks of ``_italics_``; turn ``--`` into a dash."""
    for kind, pattern, replacement in (
        ("page_numbers", _PAGE_NUMBER, ""),
        ("layout_marks", _LAYOUT, lambda layout: layout[1].strip(" ")),
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
        return f"\n{heading[1] if heading else PICTURE_GAP}\n"

    text, num_blocks = _PICTURE_LINE.subn(keep_heading, text)
    text, num_inline = _PICTURE.subn("", text)
    return text, num_blocks + num_inline


def _filter_blocks(text: str, removed: Counter[str]) -> str:
    """Remove credits at the front, transcriber's notes at both ends, and paragraphs that name the trademark."""
    parts = re.split(r"(\n(?:[ \t]*\n)+)", text)
    kept: list[str] = []
    position, num_blocks, note = 0, 0, None
    for block, gap in zip(parts[::2], [*parts[1::2], ""], strict=True):
        is_front = num_blocks < _FRONT_BLOCKS and position < _MAX_FRONT_NOTE_CHARACTERS
        is_back = position > (1 - _MAX_BACK_NOTE_SHARE) * len(text)
        kind = _classify_block(block, is_front=is_front, is_back=is_back, note=note)
        if kind:
            removed[kind] += 1
        kept += ["" if kind else _drop_trademark_lines(block, removed), gap]
        # At the back, a note goes on to the end of the text. At the front, two blank lines end it.
        is_open = kind == "transcriber_notes" and (is_back or gap.count("\n") < 3)
        note = block if is_open else None
        position += len(block) + len(gap)
        num_blocks += bool(block.strip())
    return "".join(kept)


def _classify_block(block: str, *, is_front: bool, is_back: bool, note: str | None) -> str | None:
    """Return why a block is removed, None to keep it. ``note`` is the block before, if it belongs to an open note."""
    opening = block.strip()
    if not opening:
        return None
    if (is_front or is_back) and _NOTE.match(opening):
        return "transcriber_notes"
    if note is not None and (is_back or _NOTE_ITEM.match(block) or _NOTE_HEADING.fullmatch(note.strip())):
        return "transcriber_notes"
    if is_front and _CREDITS.match(opening):
        return "credits"
    if _names_trademark(block) and block.count("\n") < _MAX_TRADEMARK_LINES:
        return "trademark_paragraphs"
    return None


def _names_trademark(text: str) -> bool:
    # Searching for a plain word is far faster than trying a pattern at every position.
    lowered = text.lower()
    return any(word in lowered for word in ("gutenberg", "pglaf", "pgdp")) and bool(_TRADEMARK.search(text))


def _drop_trademark_lines(block: str, removed: Counter[str]) -> str:
    """Remove single lines from a block that is too long to be removed as a whole."""
    if not _names_trademark(block):
        return block
    lines = block.split("\n")
    kept = [line for line in lines if not _names_trademark(line)]
    removed["trademark_lines"] += len(lines) - len(kept)
    return "\n".join(kept)
