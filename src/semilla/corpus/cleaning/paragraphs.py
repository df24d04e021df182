"""Joins hard-wrapped lines into paragraphs, and keeps verse, headings and dialogue line by line.

A wrapped line is *full*: the first word of the next line would not have fitted on it. In a wrapped paragraph every
line but the last is full; in verse hardly any line is. A paragraph wrapped early is recognised by lines that
*continue*: they end without punctuation and the next starts with a small letter, more often than in verse. Neither
rule needs a list of words.
"""

from __future__ import annotations

import re
from itertools import pairwise

PICTURE_GAP = "\x1f"
"""A line of its own where a picture or page number was removed. A paragraph may continue across it."""

_MIN_WRAP_COLUMN = 55
"""Files that wrap at a smaller column are verse or lists."""
_MAX_WRAP_COLUMN = 100
_MIN_EARLY_WRAP = 45
"""Characters. Verse lines seldom reach it: a hendecasyllable has about 38, an alexandrine 45."""
_MIN_WRAPPED_SHARE = 0.6
_MIN_INTERRUPTED = 60
_BREAKS = re.compile(r"\n(?:[ \t]*\n)+")
_SENTENCE_END = re.compile(r"""(?:[.!?…:—]|--)["'”’»)\]_]*$""")  # noqa: RUF001 - quotes as texts have them
_SENTENCE_START = re.compile(r"""["'“‘«¿¡(\[_—–-]|\d""")  # noqa: RUF001
_DASH_START = re.compile(r"—|--(?!-)")
_PUNCTUATED = re.compile(r"""[.,;:!?]["'”’»)_]*$""")  # noqa: RUF001


def measure_wrap_column(text: str) -> int | None:
    """Measure the column at which the lines were wrapped; None if they were not wrapped, or are verse."""
    lines = [line.rstrip() for line in text.split("\n")]
    lengths = sorted(len(line) for line in lines if len(line) >= 40)
    if not lengths:
        return None
    column = lengths[int(0.95 * (len(lengths) - 1))]
    if not _MIN_WRAP_COLUMN <= column <= _MAX_WRAP_COLUMN:
        return None
    pairs = [(line, after) for line, after in pairwise(lines) if line and after]
    num_wrapped = sum(_is_wrapped(line, after, column=column) for line, after in pairs)
    return column if num_wrapped and num_wrapped >= _MIN_WRAPPED_SHARE * len(pairs) else None


def join_wrapped_lines(text: str, *, column: int) -> list[str]:
    """Return each paragraph, heading, verse and spoken line as one string. ``column`` is where lines were wrapped."""
    dash_joiner = _find_dash_joiner(text)
    paragraphs: list[list[str]] = []
    tail, after_gap = "", False  # the end of the last paragraph, which may grow to the length of the text
    for block in _BREAKS.split("\n".join(line.rstrip(" ") for line in text.split("\n")).strip("\n")):
        if block in {"", PICTURE_GAP}:
            after_gap = after_gap or bool(block)
            continue
        joined = _join_block(block.split("\n"), column=column, dash_joiner=dash_joiner)
        if paragraphs and _is_interrupted(tail, joined, after_gap=after_gap):
            paragraphs[-1] += [_find_joiner(tail, joined[0], dash_joiner=dash_joiner), joined[0]]
            tail += "".join(paragraphs[-1][-2:])
            joined = joined[1:]
        paragraphs += [[one] for one in joined]
        tail = (joined[-1] if joined else tail)[-_MIN_INTERRUPTED:]
        after_gap = False
    return ["".join(parts) for parts in paragraphs]


def _join_block(lines: list[str], *, column: int, dash_joiner: str) -> list[str]:
    """Join the wrapped lines of one block, which has no blank line inside."""
    pairs = list(pairwise(lines))
    wrapped = [_is_wrapped(line, after, column=column) for line, after in pairs]
    is_prose = sum(wrapped) * 2 >= len(wrapped) or _is_wrapped_entry(lines)
    joined = [[lines[0].strip()]]
    for is_wrapped, (line, after) in zip(wrapped, pairs, strict=True):
        if is_prose:
            is_apart = _starts_paragraph(line, after, is_wrapped=is_wrapped)
        else:
            is_apart = not (_is_full(line, after, column=column) and _continues(line, after))
        if is_apart:
            joined.append([after.strip()])
        else:
            joined[-1] += [_find_joiner(line.strip(), after.strip(), dash_joiner=dash_joiner), after.strip()]
    return ["".join(parts) for parts in joined]


def _is_wrapped(line: str, after: str, *, column: int) -> bool:
    return _is_full(line, after, column=column) or _continues(line, after)


def _is_full(line: str, after: str, *, column: int) -> bool:
    return len(line.rstrip()) + 1 + len(after.split(None, 1)[0]) > column


def _continues(line: str, after: str) -> bool:
    line = line.strip()
    return len(line) >= _MIN_EARLY_WRAP and line[-1].isalnum() and after.lstrip()[0].islower()


def _is_wrapped_entry(lines: list[str]) -> bool:
    """Return whether a block is a long title or an entry of a table of contents: wrapped early, no punctuation."""
    return (
        2 <= len(lines) <= 4
        and len(lines[0].strip()) >= 40
        and not _PUNCTUATED.search(lines[-1].rstrip())
        and not any(_ends_sentence(line.rstrip()) for line in lines)
    )


def _starts_paragraph(line: str, after: str, *, is_wrapped: bool) -> bool:
    """Return whether ``after`` starts a paragraph in a wrapped block: it is indented, or follows a short line."""
    if not _ends_sentence(line.rstrip()):
        return False
    indent, next_indent = (len(one) - len(one.lstrip()) for one in (line, after))
    opening = after.lstrip()
    return next_indent > indent or (
        not is_wrapped and (opening[0].isupper() or bool(_SENTENCE_START.match(opening)))
    )


def _is_interrupted(tail: str, following: list[str], *, after_gap: bool) -> bool:
    """Return whether a picture, or a blank line at a page break, interrupts the sentence that ``tail`` ends with."""
    if not following[0][:1].islower():
        return False
    if after_gap:
        return not _ends_sentence(tail)
    return len(following) == 1 and len(tail) >= _MIN_INTERRUPTED and (tail[-1].isalnum() or tail[-1] == ",")


def _find_dash_joiner(text: str) -> str:
    """Find what joins a dash to the next line: nothing in a text whose dashes touch both words, else a space."""
    num_touching = len(re.findall(r"\w(?:—|--)\w", text))
    return "" if num_touching >= len(re.findall(r"\w(?:—|--) \w", text)) else " "


def _find_joiner(line: str, after: str, *, dash_joiner: str) -> str:
    """Return what joins two lines: mostly a space."""
    ends_in_dash = line.endswith("—") or (line.endswith("--") and not line.endswith("---"))
    if ends_in_dash or _DASH_START.match(after):
        return dash_joiner
    is_split_at_hyphen = line.endswith("-") and line[-2:-1].isalpha() and after[:1].isalpha()
    return "" if is_split_at_hyphen else " "


def _ends_sentence(text: str) -> bool:
    # Only the tail: the text may be a whole chapter, and this is called once a line.
    return _SENTENCE_END.search(text[-20:]) is not None
