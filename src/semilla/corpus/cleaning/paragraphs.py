"""Hard-wrapped lines -> paragraphs, with verse, headings and dialogue kept line by line.

A wrapped line is *full*: the first word of the next line would not have fitted on it. In a wrapped
paragraph every line but the last is full; in verse hardly any is. Paragraphs wrapped early are known by
lines that *read on*: no punctuation, then a small letter, more often than verse does it. Neither needs a
list of words.
"""

from __future__ import annotations

import re
from itertools import pairwise

PICTURE_GAP = "\x1f"
"""Stands alone on a line where a picture or page number was taken out: a paragraph may go on across it."""

_MIN_WRAP_COLUMN = 55
"""Files that wrap earlier are verse or lists."""
_MAX_WRAP_COLUMN = 100
_MIN_EARLY_WRAP = 45
"""Characters. Verse lines seldom reach it: a hendecasyllable has about 38, an alexandrine 45."""
_MIN_WRAPPED_SHARE = 0.6
_MIN_TORN = 60
_BREAKS = re.compile(r"\n(?:[ \t]*\n)+")
_SENTENCE_END = re.compile(r"""(?:[.!?…:—]|--)["'”’»)\]_]*$""")  # noqa: RUF001 - quotes as texts have them
_SENTENCE_START = re.compile(r"""["'“‘«¿¡(\[_—–-]|\d""")  # noqa: RUF001
_DASH_START = re.compile(r"—|--(?!-)")
_PUNCTUATED = re.compile(r"""[.,;:!?]["'”’»)_]*$""")  # noqa: RUF001


def measure_wrap_column(text: str) -> int | None:
    """Measure the column at which the lines were wrapped; None when they were not, or are verse."""
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
    """Give each paragraph, heading, verse and spoken line its own string; ``column`` is where lines wrap."""
    glue = _find_dash_glue(text)
    paragraphs: list[str] = []
    after_gap = False
    for block in _BREAKS.split("\n".join(line.rstrip(" ") for line in text.split("\n")).strip("\n")):
        if block in {"", PICTURE_GAP}:
            after_gap = after_gap or bool(block)
            continue
        joined = _join_block(block.split("\n"), column=column, glue=glue)
        if paragraphs and _goes_on(paragraphs[-1], joined, after_gap=after_gap):
            paragraphs[-1] += _find_joint(paragraphs[-1], joined[0], glue=glue) + joined.pop(0)
        paragraphs += joined
        after_gap = False
    return paragraphs


def _join_block(lines: list[str], *, column: int, glue: str) -> list[str]:
    """Join the lines of one block (lines without a blank line between them) where they were one."""
    pairs = list(pairwise(lines))
    wrapped = [_is_wrapped(line, after, column=column) for line, after in pairs]
    is_prose = sum(wrapped) * 2 >= len(wrapped) or _is_wrapped_entry(lines)
    joined = [[lines[0].strip()]]
    for is_wrapped, (line, after) in zip(wrapped, pairs, strict=True):
        if is_prose:
            is_apart = _starts_anew(line, after, is_wrapped=is_wrapped)
        else:
            is_apart = not (_is_full(line, after, column=column) and _reads_on(line, after))
        if is_apart:
            joined.append([after.strip()])
        else:
            joined[-1] += [_find_joint(line.strip(), after.strip(), glue=glue), after.strip()]
    return ["".join(parts) for parts in joined]


def _is_wrapped(line: str, after: str, *, column: int) -> bool:
    return _is_full(line, after, column=column) or _reads_on(line, after)


def _is_full(line: str, after: str, *, column: int) -> bool:
    return len(line.rstrip()) + 1 + len(after.split(None, 1)[0]) > column


def _reads_on(line: str, after: str) -> bool:
    line = line.strip()
    return len(line) >= _MIN_EARLY_WRAP and line[-1].isalnum() and after.lstrip()[0].islower()


def _is_wrapped_entry(lines: list[str]) -> bool:
    """Tell a long title or entry of a table of contents: wrapped early, ended without punctuation."""
    return (
        2 <= len(lines) <= 4
        and len(lines[0].strip()) >= 40
        and not _PUNCTUATED.search(lines[-1].rstrip())
        and not any(_ends_sentence(line.rstrip()) for line in lines)
    )


def _starts_anew(line: str, after: str, *, is_wrapped: bool) -> bool:
    """Tell whether ``after`` starts a paragraph in a wrapped block: indented, or after a short last line."""
    if not _ends_sentence(line.rstrip()):
        return False
    indent, next_indent = (len(one) - len(one.lstrip()) for one in (line, after))
    opening = after.lstrip()
    return next_indent > indent or (
        not is_wrapped and (opening[0].isupper() or bool(_SENTENCE_START.match(opening)))
    )


def _goes_on(paragraph: str, following: list[str], *, after_gap: bool) -> bool:
    """Tell whether a picture, or a blank line left where a page was turned, tore a sentence in two."""
    if not following[0][:1].islower():
        return False
    if after_gap:
        return not _ends_sentence(paragraph)
    return (
        len(following) == 1
        and len(paragraph) >= _MIN_TORN
        and (paragraph[-1].isalnum() or paragraph[-1] == ",")
    )


def _find_dash_glue(text: str) -> str:
    """Find what stands between a dash and the next line: nothing where dashes touch both words."""
    num_touching = len(re.findall(r"\w(?:—|--)\w", text))
    return "" if num_touching >= len(re.findall(r"\w(?:—|--) \w", text)) else " "


def _find_joint(line: str, after: str, *, glue: str) -> str:
    """What to put between two lines that are one: mostly a space."""
    ends_in_dash = line.endswith("—") or (line.endswith("--") and not line.endswith("---"))
    if ends_in_dash or _DASH_START.match(after):
        return glue
    is_split_at_hyphen = line.endswith("-") and line[-2:-1].isalpha() and after[:1].isalpha()
    return "" if is_split_at_hyphen else " "


def _ends_sentence(text: str) -> bool:
    # Only the tail: the text may be a whole chapter, asked about once a line.
    return _SENTENCE_END.search(text[-20:]) is not None
