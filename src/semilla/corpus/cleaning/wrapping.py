"""Tells how a text was wrapped: at which column, which blocks of lines are prose, which line goes on in the next.

A wrapped line is *full*: the first word of the next line would not have fitted on it. In a wrapped paragraph every
line but the last is full, most lines break inside a sentence, and punctuation falls inside lines; in verse, lists and
records it falls at their ends. No rule needs a list of words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress, pairwise

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
_MIN_WORDS = 4
_MAX_ENTRY_LINES = 4
MAX_SYMBOL_SHARE = 0.06
_MIN_CODE_SHARE = 0.3

_STOPS = frozenset(".!?…:—。！？；：．｡؟۔।॥։")  # noqa: RUF001 - stops of many scripts
_CLOSERS = "\"'”’»)]_」』）】》〉"  # noqa: RUF001 - quotes and brackets of many scripts
_MAX_CLOSERS = 19
_PUNCTUATED = re.compile(r"""[.,;:!?，、；。！？،؛]["'”’»)_」』）]*$""")  # noqa: RUF001
_INNER_PUNCTUATION = re.compile(
    r"""[.,;:!?…，、；：。！？،؛؟।](?=["'”’»)_」』）]*(?:[ \t]+\S|[^\s\x00-\u2fff]))"""  # noqa: RUF001
)
_INNER_STOP = re.compile(r"""[.;:!?…؟।](?=["'”’»)_]*[ \t]+\S)|[；：。！？]""")  # noqa: RUF001
_SENTENCE_START = re.compile(r"""["'“‘«¿¡(\[_—–-]|\d""")  # noqa: RUF001
_COLUMN_GAP = re.compile(r"\S(?: {3,}|\t| \| )\S")
_SYMBOLS = "{}<>=()[]\\/|#@$%&*+~^;"
_CODE = re.compile(
    r"""\w[(\[]["'\w]|\w\.\w+\(|[\w)\]] ?(?:[=!<>+*-]=|=|<|>) ?[\w"'(\[{]|[;{}\\(\[]$|::|->|=>|&&|\|\|"""
    r"""|^\s*(?:[#@]|//|>>>)"""
)

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
_HANGUL = re.compile("[\uac00-\ud7a3]")
_NUM_SCRIPT_LINES = 100
_CUT, _KOREAN_CUT = (0, 0.9), (2, 0.75)
"""Columns and the share of lines that end within so many. A Korean syllable is two wide, and a space there is lost."""
_MIN_CUT_LINES = 4
_MIN_JUSTIFIED_SHARE = 0.2
"""Of lines that end at one column, those with wider gaps between words: they were justified, not cut."""
_WIDE_PUNCTUATION = re.compile("[\u3001-\u3011\u3014-\u301f\uff01\uff08\uff09\uff0c\uff0e\uff1a\uff1b\uff1f]")
_UNSPACED_SLACK = 4
"""Columns. A line of Chinese or Japanese ends a character early or late, so that no line begins with a comma."""


# ---- the text: at which column


def measure_column(blocks: Sequence[list[str]]) -> int | None:
    """Measure the column at which nearly all lines were wrapped; None if they were not, or are verse or records."""
    if all(len(block) == 1 for block in blocks):
        return None
    lines = [line for block in blocks for line in block]
    widths = sorted(width for line in lines if (width := _measure_width(line)) >= 40)
    if not widths:
        return None
    column = widths[int(0.95 * (len(widths) - 1))]
    if not _MIN_WRAP_COLUMN <= column <= _MAX_WRAP_COLUMN:
        return None
    pairs = [pair for block in blocks for pair in pairwise(block)]
    wrapped = [pair for pair in pairs if is_full(*pair, column=column) or continues(*pair)]
    if not wrapped or len(wrapped) < _MIN_WRAPPED_SHARE * len(pairs):
        return None
    minimum = _MIN_CONTINUING_SHARE * len(wrapped)
    is_prose = _has(minimum, (goes_on(*pair) for pair in wrapped)) and _has(
        minimum / 2, (_INNER_PUNCTUATION.search(line) is not None for line, _ in wrapped)
    )
    return column if is_prose and not are_cut_at_one_column(wrapped) else None


def find_own_column(lines: list[str]) -> int | None:
    """Find the column at which one block was wrapped, from the block alone; None without strong evidence."""
    if len(lines) < 3 or is_structured(lines) or is_code(lines):
        return None
    column = max(map(_measure_width, lines))
    if not _MIN_BLOCK_COLUMN <= column <= _MAX_BLOCK_COLUMN or (column < _MIN_WRAP_COLUMN and len(lines) < 5):
        return None
    pairs = list(pairwise(lines))
    full = [pair for pair in pairs if is_full(*pair, column=column)]
    is_filled = all(
        is_full(line, after, column=column) or starts_paragraph(line, after, is_wrapped=False)
        for line, after in pairs
    )
    num_continuing = sum(goes_on(line, after) for line, after in full)
    num_inner, num_ends = count_punctuation(lines)
    is_prose = len(full) >= 2 and 2 * num_continuing >= len(full) and num_inner > num_ends
    # In Chinese verse, each line ends in a comma or a stop, and has another inside.
    is_prose = is_prose and 2 * num_ends < len(lines)
    return column if is_filled and is_prose and not are_cut_at_one_column(full) else None


def _has(minimum: float, found: Iterable[bool]) -> bool:
    """Return whether at least ``minimum`` are true; those after them are not looked at."""
    count = 0
    for one in found:
        count += one
        if count >= minimum:
            return True
    return False


def are_cut_at_one_column(pairs: Sequence[tuple[str, str]]) -> bool:
    """Return whether lines were cut inside words, as ``fold`` does: then no one can tell where a space belongs."""
    lines = [line for line, _ in pairs if not has_unspaced(line)]
    widths = Counter(map(_measure_width, lines))
    is_korean = _HANGUL.search("".join(lines[:_NUM_SCRIPT_LINES])) is not None
    slack, min_share = _KOREAN_CUT if is_korean else _CUT
    num_cut = max((sum(widths[one - i] for i in range(slack + 1)) for one in list(widths)), default=0)
    if len(lines) < _MIN_CUT_LINES or num_cut < min_share * len(lines):
        return False
    return sum("  " in line.strip() for line in lines) < _MIN_JUSTIFIED_SHARE * len(lines)


def count_punctuation(lines: Sequence[str]) -> tuple[int, int]:
    """Count the punctuation marks inside lines, and the lines but the last that end in one."""
    num_inner = sum(len(_INNER_PUNCTUATION.findall(line)) for line in lines)
    return num_inner, sum(_PUNCTUATED.search(line) is not None for line in lines[:-1])


# ---- a block: prose, verse, table or code


def is_prose(lines: list[str], full: Sequence[bool], wrapped: Sequence[bool]) -> bool:
    """Return whether a block of a text whose lines were wrapped was wrapped too.

    ``full`` and ``wrapped`` say it of each line but the last.
    """
    num_full = sum(full)
    if num_full >= 3 and not any(map(goes_on, compress(lines, full), compress(lines[1:], full))):
        # Verse or a list with long lines, unless sentences end inside them.
        num_inner, num_ends = count_punctuation(lines)
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
    num_filled = sum(is_full(line, after, column=column) for line, after in pairwise(lines))
    if any(map(_INNER_PUNCTUATION.search, lines)) and num_filled >= _MIN_WRAPPED_SHARE * (len(lines) - 1):
        return True
    opening = lines[0].lstrip()
    return len(lines) < _MAX_ENTRY_LINES and not opening[:1].islower()


def _is_wrapped_entry(lines: list[str]) -> bool:
    """Return whether a block is a long title or an entry of a table of contents: wrapped early, no punctuation."""
    return (
        2 <= len(lines) <= _MAX_ENTRY_LINES
        and len(lines[0].strip()) >= 40
        and not _PUNCTUATED.search(lines[-1])
        and not any(map(ends_sentence, lines))
        and (len(lines) == 2 or any(line.lstrip()[:1].islower() for line in lines[1:]))
    )


def is_structured(lines: list[str], *, max_symbols: float = MAX_SYMBOL_SHARE) -> bool:
    """Return whether a block is a table or code: columns in most of its lines, or many symbols."""
    block = "\n".join(lines)
    if any(gap in block for gap in ("   ", "\t", " | ")):
        num_rows = sum(_COLUMN_GAP.search(line) is not None for line in lines)
        if 2 * num_rows >= len(lines):
            return True
    return sum(map(block.count, _SYMBOLS)) > max_symbols * len(block)


def is_unpunctuated(lines: list[str]) -> bool:
    """Return whether a block has more lines than a title, and no sentence."""
    return (
        len(lines) > _MAX_ENTRY_LINES
        and not ends_sentence(lines[-1])
        and not any(map(_INNER_STOP.search, lines))
    )


def is_code(lines: list[str]) -> bool:
    """Return whether lines are code: calls, assignments and comments, or an indent that comes and goes."""
    indents = [len(line) - len(line.lstrip()) for line in lines[1:]]
    num_returns = sum(after < indent for indent, after in pairwise(indents))
    num_code = sum(_CODE.search(line) is not None for line in lines)
    return num_code >= _MIN_CODE_SHARE * len(lines) or (num_returns > 0 and num_code > 0)


# ---- a line and the next one


def is_full(line: str, after: str, *, column: int) -> bool:
    """Return whether the first word of ``after`` would not have fitted on ``line``."""
    word = after.split(None, 1)[0]
    # Behind a bracket, too: a speaker or a stage direction.
    if not word.isascii() and _IS_UNSPACED.search(word, 0, 2):
        return _measure_width(line) + _UNSPACED_SLACK >= column
    # Lines of one or two words are records: sequences, formulas, addresses.
    return _measure_width(line) + 1 + _measure_width(word) > column and _is_long(line)


def continues(line: str, after: str) -> bool:
    """Return whether a long line that breaks inside a sentence goes on in one that begins small."""
    line = line.strip()
    return len(line) >= _MIN_EARLY_WRAP and line[-1].isalnum() and after.lstrip()[0].islower()


def goes_on(line: str, after: str) -> bool:
    """Return whether a sentence goes on in the next line: that begins small, or in a script without capitals."""
    opening = after.lstrip(" \t\u3000\"'“‘«(_")[:1]  # noqa: RUF001
    is_small = opening.isalpha() and (not opening.isupper() or line.isupper())
    return is_small and not ends_sentence(line)


def starts_paragraph(line: str, after: str, *, is_wrapped: bool) -> bool:
    """Return whether ``after`` starts a paragraph in a wrapped block: it is indented, or follows a short line."""
    if not ends_sentence(line):
        return False
    indent, next_indent = (len(one) - len(one.lstrip()) for one in (line, after))
    opening = after.lstrip()
    begins = opening[0].isupper() or bool(_SENTENCE_START.match(opening)) or has_unspaced(opening[0])
    return next_indent > indent or (not is_wrapped and begins)


def ends_sentence(text: str) -> bool:
    """Return whether a text ends in a stop, and quotes or brackets after it."""
    if text[-1:].isalnum():
        return False
    # Only the tail: the text may be a whole chapter, and this is called once a line.
    tail = text[-_MAX_CLOSERS - 1 :].rstrip(_CLOSERS)
    return tail[-1:] in _STOPS or tail.endswith("--")


def needs_space(line: str, after: str) -> bool:
    """Return whether a space joins two lines: not between Chinese or Japanese, nor beside their punctuation."""
    last, first = line[-1:], after[:1]
    if has_unspaced(last) and has_unspaced(first):
        return False
    return not any(_WIDE_PUNCTUATION.match(one) for one in (last, first) if not one.isascii())


def has_unspaced(text: str) -> bool:
    """Return whether a text has a character of a script without spaces between words."""
    return not text.isascii() and _IS_UNSPACED.search(text) is not None


def _is_long(line: str) -> bool:
    return line.strip().count(" ") >= _MIN_WORDS - 1 or has_unspaced(line)


def _measure_width(line: str) -> int:
    """Measure the columns of a line: a Chinese, Japanese or Korean character takes two."""
    # Counting is slow. Three bytes a character are many, and a few accents and quotes are few.
    if line.isascii() or len(line.encode()) < 1.25 * len(line):
        return len(line)
    return len(line) + len(_WIDE.findall(line))
