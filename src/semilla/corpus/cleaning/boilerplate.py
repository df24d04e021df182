"""The boilerplate inside a Gutenberg text: credits, transcribers' notes, pictures, page numbers, typing marks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from semilla.corpus.cleaning.gutenberg import TRADEMARK
from semilla.corpus.cleaning.ledger import Ledger
from semilla.corpus.cleaning.paragraphs import PICTURE_GAP

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
_NUMBERED_LINE = re.compile(
    r"(?P<text>.{0,120}?\S)(?P<gap>(?= {2}| ?\. \.|\.{5})[ .]{2,120}+)(?P<number>\d{1,5}|[ivxlc]{1,7})", re.I
)
"""A line that ends in a gap or dots and a number: in a table of contents, at the margin of verse, or in a table."""
_LEFT_NUMBERED = re.compile(r" {0,20}(?P<number>\d{1,5}) {1,10}(?P<text>[^\s\d.].*)")
"""A line that begins with a number: at the other margin, or in a list."""
_PAGE_HEADING = re.compile(r" {8,}[_*]*(?:page|p[aá]gs?\w*)[_*]*\.?", re.I)
_CONTENTS_HEADING = re.compile(
    r"\W*(?:(?:table|list) of )?(?:contents|index|illustrations|plates|maps|figures|pages?|p[aá]gs?\w*|[ií]ndice"
    r"|contenido|sum[aá]rio|sommaire|table(?: des mati[eè]res)?|inhalt\w*|inhaltsverzeichnis)\W*",
    re.I,
)
_CONTENTS_HEADING_LINES = 12
_MIN_CONTENTS_LINES = 3
_MIN_CONTENTS_DENSITY = 0.4
"""Of the lines from the first entry to the last. A wrapped entry has a line more, and parts have headings."""
_CONTENTS_FRONT, _CONTENTS_BACK = 0.25, 0.85
"""Tables of contents begin in the first quarter of a book, or in the last part."""
_MAX_ENTRY_DISTANCE = 8
_MIN_INCREASING_SHARE = 0.9
_MIN_STEP = 3
"""Of the numbers at a margin. Tables count by one and two, and no edition numbers every second verse."""
_MIN_PROOFS, _MAX_NOTE_LINES = 2, 15
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_LAYOUT = re.compile(r"/\*(?: [A-Z]{2,}\b)?(.{0,160}?)\*/")
_SUPERSCRIPT = re.compile(r"\^\{([^{}\n]*)\}")
_BOLD_LINE = re.compile(r"^([#=+])(\S.*)\1$", re.M)
_UNDERSCORES = re.compile("__*")
_DASHES = re.compile("--+")
"""Two such dashes stand for a long one, and one underscore for italics; more of either are a line."""
_ORNAMENT = re.compile(r"^[ \t]*(?:[*·•.~—–=_-][ \t]*){3,}$", re.M)  # noqa: RUF001 - dashes of all lengths


def strip_boilerplate(text: str, *, ledger: Ledger) -> str:
    """Remove credits, notes, pictures, ornaments, tables of contents and the numbers of verses from a book.

    Captions are removed with their pictures, because they quote the text. Inline marks stay until ``strip_marks``:
    without them, the line lengths would no longer show where lines were wrapped.
    """
    # Searching for what does not begin with the start of a line is far faster.
    if _PICTURE.search(text):
        text = ledger.replace("pictures", _PICTURE_LINE, text, _keep_heading)
        text = ledger.replace("pictures", _PICTURE, text)
    text = _filter_blocks(text, ledger)
    if _PAGE_NUMBER.search(text):
        text = ledger.replace("page_numbers", _PAGE_NUMBER_LINE, text, f"\n{PICTURE_GAP}\n")
    text = _strip_numbered_lines(text, ledger)
    return ledger.replace("ornaments", _ORNAMENT, text)


def strip_marks(text: str, *, ledger: Ledger) -> str:
    """Remove page and note numbers, layout marks and the marks of ``_italics_``; turn ``--`` into a dash."""
    text = ledger.replace("page_numbers", _PAGE_NUMBER, text)
    text = ledger.replace("layout_marks", _LAYOUT, text, lambda layout: layout[1].strip(" "))
    text = ledger.replace("layout_marks", _SUPERSCRIPT, text, lambda mark: mark[1])
    if any(mark in text for mark in "#=+"):
        text = ledger.replace("emphasis_marks", _BOLD_LINE, text, lambda mark: mark[2])
    text = ledger.replace("emphasis_marks", _UNDERSCORES, text, lambda run: "" if run[0] == "_" else run[0])
    long_dashes = _DASHES.sub(lambda run: "—" if run[0] == "--" else run[0], text)
    ledger.count("double_dashes", len(text) - len(long_dashes), example="--")
    return long_dashes


def _keep_heading(picture: re.Match[str]) -> str:
    heading = _DRAWN_HEADING.search(picture[0])
    return f"\n{heading[1] if heading else PICTURE_GAP}\n"


# ---- lines that end in a number


class _Numbered(NamedTuple):
    """A line that ends in a number. ``place`` counts the lines that are not blank."""

    row: int
    place: int
    number: int
    is_roman: bool
    has_dots: bool


def _strip_numbered_lines(text: str, ledger: Ledger) -> str:
    """Remove the entries of tables of contents, and the numbers at the margin of verse. Any other number stays."""
    lines = text.split("\n")
    numbered = _find_numbered_lines(lines)
    contents = {one.row for run in _find_runs(numbered) if _is_contents(run, lines) for one in run}
    openings = _find_openings(lines)
    margins = _find_margin_numbers([one for one in numbered if one.row not in contents], openings)
    lefts = _find_margin_numbers(_find_left_numbers(lines), openings, min_proofs=_MIN_PROOFS)
    if not contents and not margins and not lefts:
        return text
    kept = []
    for index, line in enumerate(lines):
        if index in contents or (_PAGE_HEADING.fullmatch(line.rstrip()) and contents):
            ledger.note("contents", line)
        elif index in margins and (match := _NUMBERED_LINE.fullmatch(line.rstrip())):
            ledger.note("line_numbers", match["number"])
            kept.append(match["text"])
        elif index in lefts and (match := _LEFT_NUMBERED.fullmatch(line)):
            ledger.note("line_numbers", match["number"])
            kept.append(" " * match.start("text") + match["text"])
        else:
            kept.append(line)
    return "\n".join(kept)


def _find_numbered_lines(lines: Sequence[str]) -> list[_Numbered]:
    found, place = [], 0
    for index, line in enumerate(lines):
        line = line.rstrip()  # noqa: PLW2901
        if not line:
            continue
        place += 1
        # Most lines end in a letter or a stop, and the pattern is slow.
        if (line[-1].isdecimal() or line[-1] in "ivxlcIVXLC") and any(
            gap in line for gap in ("  ", ". .", ".....")
        ):
            match = _NUMBERED_LINE.fullmatch(line)
            if match:
                is_roman = not match["number"].isdecimal()
                number = _read_roman(match["number"]) if is_roman else int(match["number"])
                found.append(_Numbered(index, place, number, is_roman, "." in match["gap"]))
    return found


def _find_runs(numbered: Sequence[_Numbered]) -> list[list[_Numbered]]:
    """Group numbered lines that are near each other."""
    runs: list[list[_Numbered]] = []
    for one in numbered:
        if runs and one.place - runs[-1][-1].place <= _MAX_ENTRY_DISTANCE:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _is_contents(run: Sequence[_Numbered], lines: Sequence[str]) -> bool:
    """Return whether lines are a table of contents: at the front or back, under a heading, dense, increasing."""
    first, last = run[0], run[-1]
    if len(run) < _MIN_CONTENTS_LINES or len(run) < _MIN_CONTENTS_DENSITY * (last.place - first.place + 1):
        return False
    if _CONTENTS_FRONT * len(lines) < first.row and last.row < _CONTENTS_BACK * len(lines):
        return False
    before = [line for line in lines[: first.row] if line.strip()][-_CONTENTS_HEADING_LINES:]
    if not (sum(one.has_dots for one in run) * 2 > len(run) or any(map(_CONTENTS_HEADING.fullmatch, before))):
        return False
    pairs = list(pairwise(run))
    num_increasing = sum(one.number <= after.number or one.is_roman > after.is_roman for one, after in pairs)
    num_counting = sum(_counts_lines(one, after) for one, after in pairs)
    return num_increasing >= _MIN_INCREASING_SHARE * len(pairs) and 2 * num_counting < len(pairs)


def _find_left_numbers(lines: Sequence[str]) -> list[_Numbered]:
    found, place = [], 0
    for index, line in enumerate(lines):
        opening = line.lstrip(" ")
        place += bool(opening)
        if opening[:1].isdecimal() and (match := _LEFT_NUMBERED.fullmatch(line)):
            found.append(_Numbered(index, place, int(match["number"]), is_roman=False, has_dots=False))
    return found


def _find_openings(lines: Sequence[str]) -> frozenset[int]:
    """Return the places of the lines that follow a blank one."""
    found, place, is_blank = set(), 0, True
    for line in lines:
        if line.strip():
            place += 1
            if is_blank:
                found.add(place)
        is_blank = not line.strip()
    return frozenset(found)


def _find_margin_numbers(
    numbered: Sequence[_Numbered], openings: frozenset[int], *, min_proofs: int = 1
) -> set[int]:
    """Find the lines whose number counts lines: every fifth, for example.

    A step that is proven twice also holds across lines that do not count, such as notes between the verses, and for
    the only number of a short poem, which counts from one of ``openings``. Fewer than ``min_proofs`` prove nothing.
    """
    pairs = list(pairwise(one for one in numbered if not one.is_roman and not one.has_dots))
    sure = [pair for pair in pairs if _counts_lines(*pair) and _are_multiples(*pair)]
    step, num_proofs = (
        Counter(after.number - one.number for one, after in sure).most_common(1)[0] if sure else (0, 0)
    )
    if num_proofs < min_proofs:
        return set()
    found = {one.row for pair in sure for one in pair}
    if num_proofs >= _MIN_PROOFS:
        found |= _find_lone_numbers(numbered, openings, step=step)
        for one, after in [*pairs, *reversed(pairs)]:
            num_lines, num_notes = (
                after.number - one.number,
                after.place - one.place - after.number + one.number,
            )
            is_step = num_lines % step == 0 and 0 <= num_notes <= _MAX_NOTE_LINES
            # Where two speakers share a verse, editions number the line between two steps as well.
            if num_lines > 0 and (is_step or num_notes == 0) and {one.row, after.row} & found:
                found |= {one.row, after.row}
    return found


def _find_lone_numbers(numbered: Sequence[_Numbered], openings: frozenset[int], *, step: int) -> set[int]:
    """Find the numbers that count the lines of a poem from its first one. Rows that are numbered one by one do not."""
    places = {one.place for one in numbered}
    return {
        one.row
        for one in numbered
        if one.number > 0
        and one.number % step == 0
        and one.place - one.number + 1 in openings
        and not {one.place - 1, one.place + 1} & places
        and not one.is_roman
        and not one.has_dots
    }


def _counts_lines(one: _Numbered, after: _Numbered) -> bool:
    return after.number - one.number == after.place - one.place


def _are_multiples(one: _Numbered, after: _Numbered) -> bool:
    """Return whether two numbers are multiples of the step between them, as 10 and 15."""
    step = after.number - one.number
    return step >= _MIN_STEP and one.number % step == 0


def _read_roman(number: str) -> int:
    values = [_ROMAN[letter] for letter in number.lower()]
    return sum(
        -value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True)
    )


# ---- paragraphs


def _filter_blocks(text: str, ledger: Ledger) -> str:
    """Remove credits at the front, transcriber's notes at both ends, and paragraphs that name the trademark."""
    parts = re.split(r"(\n(?:[ \t]*\n)+)", text)
    kept: list[str] = []
    position, num_blocks, note = 0, 0, None
    names_trademark = _names_trademark(text)
    for block, gap in zip(parts[::2], [*parts[1::2], ""], strict=True):
        is_front = num_blocks < _FRONT_BLOCKS and position < _MAX_FRONT_NOTE_CHARACTERS
        is_back = position > (1 - _MAX_BACK_NOTE_SHARE) * len(text)
        mentions = names_trademark and _names_trademark(block)
        kind = _classify_block(block, is_front=is_front, is_back=is_back, note=note, mentions=mentions)
        if kind:
            ledger.note(kind, block)
        kept += ["" if kind else _drop_trademark_lines(block, ledger) if mentions else block, gap]
        # At the back, a note goes on to the end of the text. At the front, two blank lines end it.
        is_open = kind == "transcriber_notes" and (is_back or gap.count("\n") < 3)
        note = block if is_open else None
        position += len(block) + len(gap)
        num_blocks += bool(block.strip())
    return "".join(kept)


def _classify_block(
    block: str, *, is_front: bool, is_back: bool, note: str | None, mentions: bool
) -> str | None:
    """Return why a block is removed, None to keep it. ``note`` is the block before, if it belongs to an open note.

    ``mentions``: it names the trademark.
    """
    opening = block.strip()
    if not opening:
        return None
    if (is_front or is_back) and _NOTE.match(opening):
        return "transcriber_notes"
    if note is not None and (is_back or _NOTE_ITEM.match(block) or _NOTE_HEADING.fullmatch(note.strip())):
        return "transcriber_notes"
    if is_front and _CREDITS.match(opening):
        return "credits"
    if mentions and block.count("\n") < _MAX_TRADEMARK_LINES:
        return "trademark_paragraphs"
    return None


def _names_trademark(text: str) -> bool:
    # Searching for a plain word is far faster than trying a pattern at every position.
    lowered = text.lower()
    return any(word in lowered for word in ("gutenberg", "pglaf", "pgdp")) and bool(TRADEMARK.search(text))


def _drop_trademark_lines(block: str, ledger: Ledger) -> str:
    """Remove single lines from a block that is too long to be removed as a whole."""
    lines = block.split("\n")
    kept = [line for line in lines if not _names_trademark(line)]
    ledger.note("trademark_lines", " ".join(line for line in lines if _names_trademark(line)))
    return "\n".join(kept)
