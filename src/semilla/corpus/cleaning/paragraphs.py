"""Joins hard-wrapped lines into paragraphs, block by block. Without evidence of wrapping, lines stay as they are.

Tables, code and lines of a single word are never joined. ``wrapping`` weighs the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from semilla.corpus.cleaning.wrapping import (
    MAX_SYMBOL_SHARE,
    are_cut_at_one_column,
    continues,
    ends_sentence,
    find_own_column,
    goes_on,
    is_code,
    is_full,
    is_prose,
    is_structured,
    is_unpunctuated,
    measure_column,
    needs_space,
    starts_paragraph,
)

PICTURE_GAP = "\x1f"
"""A line of its own where a picture or page number was removed. A paragraph may continue across it."""

_LINE_SPACES = " \t\u3000"
_GAP = re.compile(r"(\n\n+)")
_SPACE_BEFORE_BREAK = re.compile(rf"\n(?<=[{_LINE_SPACES}]\n)")
_SINGLE_BREAK = re.compile(r"\n(?<!\n\n)(?!\n)")
_MIN_INTERRUPTED = 60
_MIN_OWN_SHARE = 0.02
"""Of the blocks of three lines or more: fewer that were wrapped say nothing of the others."""
_ITEM = re.compile(r"\s*(?:[-*+•] |\d+[.)] |[\w.-]+(?: -|:) )")
"""An entry of a list, with a bullet, a number or a word of its own."""
_NUMBERED = re.compile(r"\s*(\d{1,4})[.)] ")
_TOUCHING_DASH = re.compile(r"—(?<=\w—)\w|--(?<=\w--)\w")
_SPACED_DASH = re.compile(r"—(?<=\w—) \w|--(?<=\w--) \w")
_EDGES = "\"'.,;:!?()[]“”‘’«»…—"  # noqa: RUF001


@dataclass(frozen=True)
class Arranged:
    """A text with one paragraph a line where lines were wrapped, and how many line breaks were joined."""

    text: str
    num_joined: int
    num_hyphens: int
    """Hyphens removed from words that were divided at the end of a line."""


@dataclass(frozen=True)
class _Style:
    """How the lines of a text were wrapped.

    ``is_sure``: nearly all of them were, at ``column``. ``is_cut``: inside words, so that none can be joined.
    """

    text: str
    column: int | None
    is_sure: bool
    is_cut: bool
    is_book: bool

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the text, for those divided by a hyphen."""
        return frozenset(word.strip(_EDGES) for word in set(self.text.lower().split()))

    @cached_property
    def dash_joiner(self) -> str:
        """What joins a dash to the next line: nothing in a text whose dashes touch both words, else a space."""
        touching, spaced = (len(one.findall(self.text)) for one in (_TOUCHING_DASH, _SPACED_DASH))
        return "" if touching >= spaced else " "


def join_wrapped_lines(text: str, *, is_book: bool, column: int | None = None) -> Arranged:
    """Join the wrapped lines of each block, which is a run of lines without a blank one.

    ``column`` is where nearly all lines were wrapped; None: measure it.

    In a book every line is a paragraph, heading, verse or spoken line, without blank lines, and a sentence goes on
    across a page break. In any other text, blank lines and the layout of lines that are not joined stay.
    """
    text = _strip_line_ends(text).strip("\n")
    if not is_book and not _SINGLE_BREAK.search(text):
        return Arranged(text, 0, 0)
    parts = _GAP.split(text)
    blocks = [part.split("\n") for part in parts[::2]]
    style = _find_style(text, blocks, column or measure_column(blocks), is_book=is_book)
    if is_book:
        paragraphs = _join_book(blocks, style) if style.column else text.replace(PICTURE_GAP, "").split("\n")
        pieces, gaps = ["\n".join(paragraphs)], [""]
    else:
        pieces = ["\n".join(_join_block(lines, style) if len(lines) > 1 else lines) for lines in blocks]
        gaps = [*parts[1::2], ""]
    joined = "".join(part for pair in zip(pieces, gaps, strict=True) for part in pair)
    before, after = (one.count("-") for one in (text, joined))
    return Arranged(joined, _count_lines(text) - _count_lines(joined), before - after)


def measure_wrap_column(text: str) -> int | None:
    """Measure the column at which nearly all lines were wrapped; None if they were not, or are verse or records."""
    return measure_column([part.split("\n") for part in _GAP.split(_strip_line_ends(text).strip("\n"))[::2]])


def _strip_line_ends(text: str) -> str:
    text = text.rstrip(_LINE_SPACES)
    if not _SPACE_BEFORE_BREAK.search(text):
        return text
    return "\n".join(line.rstrip(_LINE_SPACES) for line in text.split("\n"))


def _count_lines(text: str) -> int:
    lines = text.split("\n")
    return len(lines) - lines.count("") - lines.count(PICTURE_GAP)


def _find_style(text: str, blocks: Sequence[list[str]], column: int | None, *, is_book: bool) -> _Style:
    is_sure, is_cut = column is not None, False
    if column is None:
        own = sorted((width, lines) for lines in blocks if (width := find_own_column(lines)))
        is_cut = are_cut_at_one_column([pair for _, lines in own for pair in pairwise(lines)])
        num_long = sum(len(lines) > 2 for lines in blocks)
        is_enough = len(own) > 1 and len(own) >= _MIN_OWN_SHARE * num_long
        column = own[int(0.95 * (len(own) - 1))][0] if is_enough else None
    return _Style(text, column, is_sure, is_cut, is_book)


def _join_book(blocks: Sequence[list[str]], style: _Style) -> list[str]:
    """Return each paragraph, heading, verse and spoken line of a book as one string."""
    paragraphs: list[list[str]] = []
    tail, after_gap = "", False  # the end of the last paragraph, which may grow to the length of the text
    for block in blocks:
        lines = [line for line in block if line]
        if lines in ([], [PICTURE_GAP]):
            after_gap = after_gap or bool(lines)
            continue
        joined = [line.strip() for line in _join_block(lines, style)]
        if paragraphs and _is_interrupted(tail, joined, after_gap=after_gap):
            paragraphs[-1] += [_find_joiner(tail, joined[0], style), joined[0]]
            tail += "".join(paragraphs[-1][-2:])
            joined = joined[1:]
        paragraphs += [[one] for one in joined]
        tail = (joined[-1] if joined else tail)[-_MIN_INTERRUPTED:]
        after_gap = False
    return ["".join(parts) for parts in paragraphs]


def _is_interrupted(tail: str, following: list[str], *, after_gap: bool) -> bool:
    """Return whether a picture, or a blank line at a page break, interrupts the sentence that ``tail`` ends with."""
    if not following[0][:1].islower():
        return False
    if after_gap:
        return not ends_sentence(tail)
    return len(following) == 1 and len(tail) >= _MIN_INTERRUPTED and (tail[-1].isalnum() or tail[-1] == ",")


def _join_block(lines: list[str], style: _Style) -> list[str]:
    """Join the wrapped lines of one block, which has no blank line inside; other lines keep their layout."""
    joined = [[lines[0]]]
    for is_joint, (line, after) in zip(_find_joints(lines, style), pairwise(lines), strict=True):
        if not is_joint:
            joined.append([after])
            continue
        line, after = line.strip(), after.strip()  # noqa: PLW2901
        joiner = _find_joiner(line, after, style)
        if joiner == "-":
            joined[-1][-1], joiner = joined[-1][-1][:-1], ""
        joined[-1] += [joiner, after]
    return [" ".join("".join(parts).split()) if len(parts) > 1 else parts[0] for parts in joined]


def _find_joints(lines: list[str], style: _Style) -> Iterator[bool]:
    """Tell for each line but the last whether the next one is the rest of it."""
    pairs = list(pairwise(lines))
    own_column = None if style.is_sure or style.is_cut else find_own_column(lines)
    column = own_column or style.column
    if (
        not pairs
        or style.is_cut
        or column is None
        or is_structured(lines, max_symbols=(1 + style.is_sure) * MAX_SYMBOL_SHARE)
        or is_unpunctuated(lines)
        or (not style.is_book and is_code(lines))
    ):
        return iter([False] * len(pairs))
    full = [is_full(line, after, column=column) for line, after in pairs]
    item = _NUMBERED if _are_numbered(lines) else None if style.is_book else _ITEM
    if item and sum(item.match(line) is not None for line in lines) > 1:
        full = [one and not item.match(after) for one, (_, after) in zip(full, pairs, strict=True)]
        if style.is_sure:  # what follows a full line without a mark of its own is the rest of an entry
            return (
                one and not starts_paragraph(*pair, is_wrapped=True)
                for one, pair in zip(full, pairs, strict=True)
            )
        return (one and goes_on(*pair) for one, pair in zip(full, pairs, strict=True))
    wrapped = [one or continues(*pair) for one, pair in zip(full, pairs, strict=True)]
    if own_column or (style.is_sure and is_prose(lines, full, wrapped)):
        return (
            not starts_paragraph(line, after, is_wrapped=is_wrapped)
            for is_wrapped, (line, after) in zip(wrapped, pairs, strict=True)
        )
    return (one and goes_on(line, after) for one, (line, after) in zip(full, pairs, strict=True))


def _are_numbered(lines: list[str]) -> bool:
    """Return whether entries of a block count by one: verses of scripture, articles of a law."""
    numbers = [int(match[1]) for line in lines if (match := _NUMBERED.match(line))]
    num_counting = sum(after == one + 1 for one, after in pairwise(numbers))
    return num_counting > 0 and 2 * num_counting > len(numbers) - 1


def _find_joiner(line: str, after: str, style: _Style) -> str:
    """Return what joins two lines: mostly a space. ``-``: nothing, and the hyphen before it divided a word."""
    if _ends_in_dash(line) or after.startswith("—") or (after.startswith("--") and after[2:3] != "-"):
        return style.dash_joiner
    if line.endswith("-") and line[-2:-1].isalpha() and after[:1].isalpha():
        return "-" if _is_divided_word(line, after, style.words) else ""
    return " " if needs_space(line, after) else ""


def _ends_in_dash(line: str) -> bool:
    return line.endswith("—") or (line.endswith("--") and not line.endswith("---"))


def _is_divided_word(line: str, after: str, words: frozenset[str]) -> bool:
    """Return whether a hyphen divides a word: the text has that word elsewhere, and never with the hyphen."""
    before = re.search(r"[^\W\d_]+(?=-$)", line)
    rest = re.match(r"[^\W\d_]+", after)
    if not (before and rest):
        return False
    first, second = before[0].lower(), rest[0].lower()
    return first + second in words and f"{first}-{second}" not in words
