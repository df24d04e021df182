"""What becomes of the lines of a text: decided block by block, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from semilla.corpus.cleaning.paragraphs import PICTURE_GAP, Arranged, join_wrapped_lines

Layout = Literal["auto", "prose", "lines", "verbatim"]
"""auto: lines are joined where they were wrapped; prose: the lines of every paragraph are joined; lines: every line
stays; verbatim: every character stays, also spaces at the ends of lines, form feeds and decomposed accents."""
_BLANK_LINES = re.compile(r"(\n(?:[ \t\u3000]*\n)+)")
_PARAGRAPH_CHARACTERS = 100
_MOSTLY = 0.6
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff60]"
)


def join_lines(text: str, *, layout: Layout, is_book: bool) -> Arranged:
    """Join lines as ``layout`` says; ``semilla.corpus.cleaning.paragraphs`` decides for auto."""
    if layout == "auto":
        return join_wrapped_lines(text, is_book=is_book)
    text = "\n".join(line.rstrip(" \t\u3000") for line in text.split("\n")).strip("\n")
    if layout != "prose":
        return Arranged(text.replace(PICTURE_GAP, ""), 0, 0)
    parts = _BLANK_LINES.split(text.replace(PICTURE_GAP, ""))
    blocks = [_join_block(part.split("\n")) for part in parts[::2]]
    gaps = [*parts[1::2], ""]
    joined = "".join(piece for pair in zip(blocks, gaps, strict=True) for piece in pair)
    num_joined = sum(part.count("\n") for part in parts[::2]) - sum(block.count("\n") for block in blocks)
    return Arranged(joined, num_joined, 0)


def _join_block(lines: list[str]) -> str:
    """Join the lines of one paragraph: with a space, except in scripts that have none."""
    joined = [lines[0]]
    for line in lines[1:]:
        after = line.strip()
        is_unspaced = _UNSPACED.match(joined[-1][-1:]) and _UNSPACED.match(after)
        joined += [after] if is_unspaced else [" ", after]
    return "".join(joined)


def describe_layout(text: str, replaced: Mapping[str, int]) -> str:
    """Name what became of the lines of a clean text: prose, lines or mixed.

    Prose has paragraphs: lines longer than a page is wide. Lines are verse, lists, tables, dialogue or code, which keep
    theirs. ``replaced`` are the counts of ``CleanText``.
    """
    lengths = [len(line) for line in text.split("\n") if line and not line.isspace()]
    share = sum(length for length in lengths if length >= _PARAGRAPH_CHARACTERS) / max(1, sum(lengths))
    if share >= _MOSTLY or any(kind.startswith("line_breaks") for kind in replaced):
        return "prose" if share >= _MOSTLY else "mixed"
    return "lines" if share < 1 - _MOSTLY else "mixed"
