"""The time that cleaning takes grows with the size of a text, not with its square, whatever the text says."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import semilla.corpus
from semilla.corpus.cleaning.clean import clean_file
from semilla.corpus.cleaning.repair import repair_text
from semilla.corpus.near_duplicates import make_sketch
from semilla.corpus.personal_data import count_personal_data
from semilla.corpus.split import find_cut, hash_long_lines
from semilla.errors import InvalidCorpusError
from semilla.escape import escape_controls, redact_credentials
from semilla.tokenizer.training import split_sentences

SIZE = 4_000
GROWTH = 8
"""A linear search takes eight times as long for eight times the text, a quadratic one 64 times."""
MOST_GROWTH = 24
LEAST_S = 0.1
"""Shorter times say nothing; a quadratic search takes seconds."""
REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}
CLASSES = {
    codes.CATEGORY_DIGIT: "7",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_WORD: "w",
    codes.CATEGORY_NOT_SPACE: "x",
    codes.CATEGORY_NOT_WORD: ".",
}


def find_patterns() -> dict[str, re.Pattern[Any]]:
    """Every compiled pattern of the corpus modules, by its module and name."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(semilla.corpus.__path__, "semilla.corpus.")
    ]
    return {
        f"{module.__name__.removeprefix('semilla.corpus.')}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


def spell(  # noqa: C901 - one branch for each kind of node
    tree: Any, pumped: object = None, size: int = 1
) -> Iterator[str]:
    """Pieces of a text that the pattern matches; the repetition ``pumped`` is repeated ``size`` times.

    After a pumped repetition the text ends, so that the pattern fails there and a search that backtracks shows.
    """
    for code, value in tree:
        if code in REPEATS:
            least, most, inner = value
            if inner is pumped:
                yield "".join(spell(inner)) * min(size, max(int(most), least))
                return
            pieces = list(spell(inner, pumped, size))
            yield "".join(pieces) * max(least, 1)
        elif code is codes.SUBPATTERN:
            yield "".join(spell(value[3], pumped, size))
        elif code is codes.ATOMIC_GROUP:
            yield "".join(spell(value, pumped, size))
        elif code is codes.BRANCH:
            yield "".join(spell(value[1][0], pumped, size))
        elif code is codes.ASSERT and value[0] > 0:
            yield "".join(spell(value[1], pumped, size))
        elif code is codes.LITERAL:
            yield chr(value)
        elif code is codes.NOT_LITERAL or code is codes.ANY:
            yield "a"
        elif code is codes.IN:
            yield spell_class(value)


def spell_class(members: Any) -> str:
    """One character of a class."""
    if members[0][0] is codes.NEGATE:
        pattern = re.compile("[a0 \t.\u0301]")
        refused = {chr(value) for code, value in members if code is codes.LITERAL}
        refused |= {"a", "0"} if (codes.CATEGORY, codes.CATEGORY_WORD) in members else set()
        refused |= {" ", "\t"} if (codes.CATEGORY, codes.CATEGORY_SPACE) in members else set()
        ranges = [value for code, value in members if code is codes.RANGE]
        free = [one for one in pattern.findall("a0 \t.\u0301") if one not in refused]
        return next(one for one in free if not any(low <= ord(one) <= high for low, high in ranges))
    code, value = members[0]
    return CLASSES[value] if code is codes.CATEGORY else chr(value if code is codes.LITERAL else value[0])


def list_repeats(tree: Any) -> Iterator[object]:
    """The inner parts of all repetitions in a pattern."""
    for code, value in tree:
        if code in REPEATS:
            yield value[2]
            yield from list_repeats(value[2])
        elif code is codes.SUBPATTERN:
            yield from list_repeats(value[3])
        elif code is codes.ATOMIC_GROUP:
            yield from list_repeats(value)
        elif code is codes.BRANCH:
            for branch in value[1]:
                yield from list_repeats(branch)


def list_hostile_texts(pattern: re.Pattern[Any]) -> list[Callable[[int], str]]:
    """Makers of texts of a given size on which a search for the pattern could take long.

    The beginnings of a match over and over, on one line and on many, and each repetition as long as the text.
    """
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(source, pattern.flags & ~re.UNICODE)
    whole = "".join(spell(tree))
    beginnings = {whole[: len(whole) * part // 3] for part in (1, 2, 3)} - {""}
    repeated = [
        lambda size, one=one + end: one * (size // len(one) + 1)
        for one in sorted(beginnings)
        for end in ("", " ", "\n", "\n\n")
    ]
    pumped = [lambda size, one=one: "".join(spell(tree, one, size)) for one in list_repeats(tree)]
    return [*repeated, *pumped]


def measure_s(text: str) -> float:
    """Processor time of everything that reads the text of a file before training."""
    began_s = time.process_time()
    clean = text
    with suppress(InvalidCorpusError):
        clean = clean_file(text.encode("utf-8", "replace"), name="a text").text
    for read in (find_cut, hash_long_lines, make_sketch, count_personal_data, repair_text):
        read(clean)
    for _ in split_sentences(clean):
        pass
    redact_credentials(escape_controls(text))
    return time.process_time() - began_s


def assert_linear(make: Callable[[int], str], *, name: str) -> None:
    """Compare the times of a short and a long text; a busy machine gets three chances."""
    for _ in range(3):
        long_s = measure_s(make(GROWTH * SIZE))
        if long_s < LEAST_S or long_s < MOST_GROWTH * measure_s(make(SIZE)):
            return
    pytest.fail(f"{name}: {long_s:.1f} s for {GROWTH * SIZE:,} characters such as {make(60)[:60]!r}")


def test_the_patterns_are_found() -> None:
    """Markers, licences, pictures, contents and paragraphs are searched for with patterns."""
    assert len(find_patterns()) > 30


@pytest.mark.slow(reason="cleans thousands of texts")
@pytest.mark.parametrize("name", find_patterns())
@pytest.mark.parametrize("opening", ["", "The Project Gutenberg eBook\n\n"], ids=["own text", "book"])
def test_the_time_is_linear_for_the_hostile_texts_of_each_pattern(name: str, opening: str) -> None:
    """Eight times the text takes eight times as long, give or take."""
    for make in list_hostile_texts(find_patterns()[name]):
        assert_linear(lambda size, make=make: opening + make(size), name=name)


START, END = "*** START OF THIS PROJECT GUTENBERG X ***\n", "*** END OF THIS PROJECT GUTENBERG X ***\n"
LICENCE = "*** START: FULL LICENSE ***\n"
LINE = "a line that goes on to the next one without a full stop, and so on and on and on"
TEXTS = {
    "openings of a licence": LICENCE,
    "bodies of one line": f"{START}x\n{END}",
    "licences in the place of an end": f"{START}x\n{LICENCE}",
    "the end of the small print": "*END THE SMALL PRINT!\n",
    "a paragraph that every page interrupts": f"{LINE}\n\nand {LINE}\n\n",
    "pictures that do not end": "[Illustration [a] [b]\n",
    "blank lines of spaces": " " * 100 + "\n",
    "dots as in a table of contents": ". . . " * 20 + "\n",
    "stacked accents": "a\u0301\u0323",
    "layout marks before spaces": "/*" + " " * 300,
    "beginnings of e-mail addresses": "a@b.",
    "beginnings of telephone numbers": "+34 6",
    "letters that were encoded twice": "Ã©",
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_time_is_linear_for_markers_and_paragraphs(name: str) -> None:
    """Searches that follow one another do not read the same text again and again."""
    one = TEXTS[name]
    assert_linear(lambda size: f"Project Gutenberg\n\n{one * (size // len(one) + 1)}", name=name)


def test_a_layout_mark_before_many_spaces_does_not_backtrack() -> None:
    """One mark in front of a long row of spaces takes no longer than other text."""
    assert_linear(lambda size: f"Project Gutenberg\n\n/*{' ' * size}x", name="spaces")
