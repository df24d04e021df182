"""Joins hard-wrapped lines into paragraphs, block by block. Without evidence of wrapping, lines stay as they are.

A wrapped line is *full*: the first word of the next line would not have fitted on it. In a wrapped paragraph every
line but the last is full, most lines break inside a sentence, and punctuation falls inside lines; in verse, lists and
records it falls at their ends. Tables, code and lines of a single word are never joined. No rule needs a list of words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

PICTURE_GAP = "\x1f"
"""A line of its own where a picture or page number was removed. A paragraph may continue across it."""

_MIN_WRAP_COLUMN = 55
"""Files that wrap at a smaller column are verse or lists; a block that does needs evidence of its own."""
_MAX_WRAP_COLUMN = 100
_MIN_BLOCK_COLUMN, _MAX_BLOCK_COLUMN = 40, 130
_MIN_EARLY_WRAP = 45
"""Characters. Verse lines seldom reach it: a hendecasyllable has about 38, an alexandrine 45."""
_MIN_WRAPPED_SHARE = 0.6
_EARLY_SLACK = 3
_MIN_CONTINUING_SHARE = 0.3
"""Of full lines, those whose sentence goes on in the next line: half in German, most in Spanish, none in verse."""
_MIN_INTERRUPTED = 60
_MIN_WORDS = 4
_MAX_SYMBOL_SHARE = 0.06
_GAP = re.compile(r"(\n(?:[ \t\u3000]*\n)+)")
_SENTENCE_END = re.compile(r"""(?:[.!?…:—。！？；：．｡؟۔।॥։]|--)["'”’»)\]_」』）】》〉]*$""")  # noqa: RUF001 - quotes and stops of many scripts
_SENTENCE_START = re.compile(r"""["'“‘«¿¡(\[_—–-]|\d""")  # noqa: RUF001
_DASH_START = re.compile(r"—|--(?!-)")
_PUNCTUATED = re.compile(r"""[.,;:!?，、；。！？،؛]["'”’»)_」』）]*$""")  # noqa: RUF001
_INNER_PUNCTUATION = re.compile(
    r"""[.,;:!?…，、；：。！？،؛؟।](?=["'”’»)_」』）]*(?:[ \t]+\S|[^\s\x00-\u2fff]))"""  # noqa: RUF001
)
_INNER_STOP = re.compile(r"""[.;:!?…؟।](?=["'”’»)_]*[ \t]+\S)|[；：。！？]""")  # noqa: RUF001
_COLUMN_GAP = re.compile(r"\S(?: {3,}|\t| \| )\S")
_SYMBOLS = "{}<>=()[]\\/|#@$%&*+~^;"
_CODE = re.compile(
    r"""\w[(\[]["'\w]|\w\.\w+\(|[\w)\]] ?(?:[=!<>+*-]=|=|<|>) ?[\w"'(\[{]|[;{}\\(\[]$|::|->|=>|&&|\|\|"""
    r"""|^\s*(?:[#@]|//|>>>)"""
)
_ITEM = re.compile(r"\s*(?:[-*+•] |\d+[.)] |[\w.-]+(?: -|:) )")
"""An entry of a list, with a bullet, a number or a word of its own."""
_MIN_CODE_SHARE = 0.3
_EDGES = "\"'.,;:!?()[]“”‘’«»…—"  # noqa: RUF001
_MAX_ENTRY_LINES = 4

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff01-\uff60\uff61-\uff9f\U00020000-\U0003fffd"
)
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han and their punctuation."""
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WIDE = re.compile(
    "[\u2e80-\u303e\u3041-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff"
    "\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\U00020000-\U0003fffd]"
)
"""Characters two columns wide."""
_UNSPACED_SLACK = 4
"""Columns. A line of Chinese or Japanese ends a character early or late, so that no line begins with a comma."""


@dataclass(frozen=True)
class Arranged:
    """A text with one paragraph a line where lines were wrapped, and how many line breaks were joined."""

    text: str
    num_joined: int
    num_hyphens: int
    """Hyphens removed from words that were divided at the end of a line."""


@dataclass(frozen=True)
class _Style:
    """How the lines of a text were wrapped. ``is_sure`` if nearly all of them were, at ``column``."""

    column: int | None
    is_sure: bool
    is_book: bool
    dash_joiner: str
    words: frozenset[str] = frozenset()
    """The words of the text, for those divided by a hyphen."""


def join_wrapped_lines(text: str, *, is_book: bool, column: int | None = None) -> Arranged:
    """Join the wrapped lines of each block, which is a run of lines without a blank one.

    ``column`` is where nearly all lines were wrapped; None: measure it.

    In a book every line is a paragraph, heading, verse or spoken line, without blank lines, and a sentence goes on
    across a page break. In any other text, blank lines and the layout of lines that are not joined stay.
    """
    text = "\n".join(line.rstrip(" \t\u3000") for line in text.split("\n")).strip("\n")
    parts = _GAP.split(text)
    blocks = [part.split("\n") for part in parts[::2]]
    style = _find_style(text, blocks, column or _measure_column(blocks), is_book=is_book)
    if is_book:
        paragraphs = _join_book(blocks, style) if style.column else text.replace(PICTURE_GAP, "").split("\n")
        pieces, gaps = ["\n".join(paragraphs)], [""]
    else:
        pieces = ["\n".join(_join_block(lines, style) if len(lines) > 1 else lines) for lines in blocks]
        gaps = [*parts[1::2], ""]
    joined = "".join(part for pair in zip(pieces, gaps, strict=True) for part in pair)
    before, after = (one.count("-") for one in (text, joined))
    return Arranged(joined, _count_lines(text) - _count_lines(joined), before - after)


def _count_lines(text: str) -> int:
    return sum(line not in {"", PICTURE_GAP} for line in text.split("\n"))


def measure_wrap_column(text: str) -> int | None:
    """Measure the column at which nearly all lines were wrapped; None if they were not, or are verse or records."""
    return _measure_column([part.split("\n") for part in _GAP.split(text.strip("\n"))[::2]])


# ---- how a text was wrapped


def _find_style(text: str, blocks: Sequence[list[str]], column: int | None, *, is_book: bool) -> _Style:
    is_sure = column is not None
    if column is None:
        widths = sorted(width for lines in blocks if (width := _find_own_column(lines)))
        column = widths[int(0.95 * (len(widths) - 1))] if len(widths) > 1 else None
    has_hyphens = re.search(r"[^\W\d_]-\n\s*[^\W\d_]", text) is not None
    words = (
        frozenset(word.strip(_EDGES) for word in text.lower().split()) if has_hyphens else frozenset[str]()
    )
    return _Style(column, is_sure, is_book, _find_dash_joiner(text), words)


def _measure_column(blocks: Sequence[list[str]]) -> int | None:
    lines = [line for block in blocks for line in block]
    widths = sorted(width for line in lines if (width := _measure_width(line)) >= 40)
    if not widths:
        return None
    column = widths[int(0.95 * (len(widths) - 1))]
    if not _MIN_WRAP_COLUMN <= column <= _MAX_WRAP_COLUMN:
        return None
    pairs = [pair for block in blocks for pair in pairwise(block)]
    wrapped = [(line, after) for line, after in pairs if _is_wrapped(line, after, column=column)]
    if not wrapped or len(wrapped) < _MIN_WRAPPED_SHARE * len(pairs):
        return None
    num_continuing = sum(_goes_on(line, after) for line, after in wrapped)
    num_inner = sum(_INNER_PUNCTUATION.search(line) is not None for line, _ in wrapped)
    is_prose = min(num_continuing, 2 * num_inner) >= _MIN_CONTINUING_SHARE * len(wrapped)
    return column if is_prose and not _are_cut_at_one_column(wrapped) else None


def _are_cut_at_one_column(pairs: Sequence[tuple[str, str]]) -> bool:
    """Return whether lines were cut inside words, as ``fold`` does: then no one can tell where a space belongs."""
    widths = Counter(len(line) for line, _ in pairs if not _IS_UNSPACED.search(line))
    is_justified = any("  " in line.strip() for line, _ in pairs)
    return widths.total() >= 4 and max(widths.values()) >= 0.9 * widths.total() and not is_justified


def _find_own_column(lines: list[str]) -> int | None:
    """Find the column at which one block was wrapped, from the block alone; None without strong evidence."""
    if len(lines) < 3 or _is_structured(lines) or _is_code(lines):
        return None
    column = max(map(_measure_width, lines))
    if not _MIN_BLOCK_COLUMN <= column <= _MAX_BLOCK_COLUMN or (column < _MIN_WRAP_COLUMN and len(lines) < 5):
        return None
    pairs = list(pairwise(lines))
    full = [pair for pair in pairs if _is_full(*pair, column=column)]
    is_filled = all(
        _is_full(line, after, column=column) or _starts_paragraph(line, after, is_wrapped=False)
        for line, after in pairs
    )
    num_continuing = sum(_goes_on(line, after) for line, after in full)
    num_inner, num_ends = _count_punctuation(lines)
    is_prose = len(full) >= 2 and 2 * num_continuing >= len(full) and num_inner > num_ends
    return column if is_filled and is_prose and not _are_cut_at_one_column(full) else None


def _count_punctuation(lines: Sequence[str]) -> tuple[int, int]:
    """Count the punctuation marks inside lines, and the lines but the last that end in one."""
    num_inner = sum(len(_INNER_PUNCTUATION.findall(line)) for line in lines)
    return num_inner, sum(_PUNCTUATED.search(line) is not None for line in lines[:-1])


# ---- joining


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
    own_column = None if style.is_sure else _find_own_column(lines)
    column = own_column or style.column
    if (
        column is None
        or _is_structured(lines, max_symbols=(1 + style.is_sure) * _MAX_SYMBOL_SHARE)
        or _is_unpunctuated(lines)
        or (not style.is_book and _is_code(lines))
    ):
        return iter([False] * len(pairs))
    full = [_is_full(line, after, column=column) for line, after in pairs]
    if not style.is_book and sum(_ITEM.match(line) is not None for line in lines) > 1:
        full = [is_full and not _ITEM.match(after) for is_full, (_, after) in zip(full, pairs, strict=True)]
        return (is_full and _goes_on(*pair) for is_full, pair in zip(full, pairs, strict=True))
    wrapped = [is_full or _continues(*pair) for is_full, pair in zip(full, pairs, strict=True)]
    if own_column or (style.is_sure and _is_prose(lines, full, wrapped)):
        return (
            not _starts_paragraph(line, after, is_wrapped=is_wrapped)
            for is_wrapped, (line, after) in zip(wrapped, pairs, strict=True)
        )
    return (is_full and _goes_on(line, after) for is_full, (line, after) in zip(full, pairs, strict=True))


def _is_prose(lines: list[str], full: Sequence[bool], wrapped: Sequence[bool]) -> bool:
    """Return whether a block of a text whose lines were wrapped was wrapped too."""
    num_full = sum(full)
    if num_full >= 3 and not any(map(_goes_on, compress(lines, full), compress(lines[1:], full))):
        # Verse or a list with long lines, unless sentences end inside them.
        num_inner, num_ends = _count_punctuation(lines)
        if num_full >= 6 or num_inner <= 2 * num_ends:
            return False
    if not num_full and not _is_wrapped_early(lines):
        return False
    return sum(wrapped) * 2 >= len(wrapped) or _is_wrapped_entry(lines)


def _is_wrapped_early(lines: list[str]) -> bool:
    """Return whether a block of short lines can be prose: filled at its own width, with punctuation inside.

    Two or three lines can do without, if they begin like a sentence: they are the title of a chapter.
    """
    column = max(map(_measure_width, lines)) - _EARLY_SLACK
    num_filled = sum(_is_full(line, after, column=column) for line, after in pairwise(lines))
    if any(map(_INNER_PUNCTUATION.search, lines)) and num_filled >= _MIN_WRAPPED_SHARE * (len(lines) - 1):
        return True
    opening = lines[0].lstrip()
    return len(lines) < _MAX_ENTRY_LINES and not opening[:1].islower()


def _is_structured(lines: list[str], *, max_symbols: float = _MAX_SYMBOL_SHARE) -> bool:
    """Return whether a block is a table or code: columns in most of its lines, or many symbols."""
    block = "\n".join(lines)
    if any(gap in block for gap in ("   ", "\t", " | ")):
        num_rows = sum(_COLUMN_GAP.search(line) is not None for line in lines)
        if 2 * num_rows >= len(lines):
            return True
    return sum(map(block.count, _SYMBOLS)) > max_symbols * len(block)


def _is_unpunctuated(lines: list[str]) -> bool:
    """Return whether a block has more lines than a title, and no sentence."""
    return (
        len(lines) > _MAX_ENTRY_LINES
        and not _ends_sentence(lines[-1])
        and not any(map(_INNER_STOP.search, lines))
    )


def _is_code(lines: list[str]) -> bool:
    """Return whether lines are code: calls, assignments and comments, or an indent that comes and goes."""
    indents = [len(line) - len(line.lstrip()) for line in lines[1:]]
    num_returns = sum(after < indent for indent, after in pairwise(indents))
    num_code = sum(_CODE.search(line) is not None for line in lines)
    return num_code >= _MIN_CODE_SHARE * len(lines) or (num_returns > 0 and num_code > 0)


def _is_wrapped(line: str, after: str, *, column: int) -> bool:
    return _is_full(line, after, column=column) or _continues(line, after)


def _is_full(line: str, after: str, *, column: int) -> bool:
    following = after.lstrip()
    if _IS_UNSPACED.match(following):
        return _measure_width(line) + _UNSPACED_SLACK >= column
    # Lines of one or two words are records: sequences, formulas, addresses.
    return _measure_width(line) + 1 + _measure_width(following.split(None, 1)[0]) > column and _is_long(line)


def _is_long(line: str) -> bool:
    return line.strip().count(" ") >= _MIN_WORDS - 1 or _IS_UNSPACED.search(line) is not None


def _measure_width(line: str) -> int:
    """Measure the columns of a line: a Chinese, Japanese or Korean character takes two."""
    # Counting is slow. Three bytes a character are many, and a few accents and quotes are few.
    if line.isascii() or len(line.encode()) < 1.25 * len(line):
        return len(line)
    return len(line) + len(_WIDE.findall(line))


def _continues(line: str, after: str) -> bool:
    line = line.strip()
    return len(line) >= _MIN_EARLY_WRAP and line[-1].isalnum() and after.lstrip()[0].islower()


def _goes_on(line: str, after: str) -> bool:
    """Return whether a sentence goes on in the next line: that begins small, or in a script without capitals."""
    opening = after.lstrip(" \t\u3000\"'“‘«(_")[:1]  # noqa: RUF001
    is_small = opening.isalpha() and (not opening.isupper() or line.isupper())
    return is_small and not _ends_sentence(line)


def _is_wrapped_entry(lines: list[str]) -> bool:
    """Return whether a block is a long title or an entry of a table of contents: wrapped early, no punctuation."""
    return (
        2 <= len(lines) <= _MAX_ENTRY_LINES
        and len(lines[0].strip()) >= 40
        and not _PUNCTUATED.search(lines[-1])
        and not any(map(_ends_sentence, lines))
        and (len(lines) == 2 or any(line.lstrip()[:1].islower() for line in lines[1:]))
    )


def _starts_paragraph(line: str, after: str, *, is_wrapped: bool) -> bool:
    """Return whether ``after`` starts a paragraph in a wrapped block: it is indented, or follows a short line."""
    if not _ends_sentence(line):
        return False
    indent, next_indent = (len(one) - len(one.lstrip()) for one in (line, after))
    opening = after.lstrip()
    begins = opening[0].isupper() or bool(_SENTENCE_START.match(opening) or _IS_UNSPACED.match(opening))
    return next_indent > indent or (not is_wrapped and begins)


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


def _find_joiner(line: str, after: str, style: _Style) -> str:
    """Return what joins two lines: mostly a space. ``-``: nothing, and the hyphen before it divided a word."""
    ends_in_dash = line.endswith("—") or (line.endswith("--") and not line.endswith("---"))
    if ends_in_dash or _DASH_START.match(after):
        return style.dash_joiner
    if line.endswith("-") and line[-2:-1].isalpha() and after[:1].isalpha():
        return "-" if _is_divided_word(line, after, style.words) else ""
    return "" if _IS_UNSPACED.match(line[-1:]) and _IS_UNSPACED.match(after) else " "


def _is_divided_word(line: str, after: str, words: frozenset[str]) -> bool:
    """Return whether a hyphen divides a word: the text has that word elsewhere, and never with the hyphen."""
    before = re.search(r"[^\W\d_]+(?=-$)", line)
    rest = re.match(r"[^\W\d_]+", after)
    if not (before and rest):
        return False
    first, second = before[0].lower(), rest[0].lower()
    return first + second in words and f"{first}-{second}" not in words


def _ends_sentence(text: str) -> bool:
    # Only the tail: the text may be a whole chapter, and this is called once a line.
    return _SENTENCE_END.search(text[-20:]) is not None
