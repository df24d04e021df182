"""Two columns of prose in a text file are told, since their lines alternate; other texts with gaps are not."""

from __future__ import annotations

import random
import textwrap
from itertools import zip_longest
from pathlib import Path

import pytest
from text_makers import book, make_sentence, prepare

from semilla.corpus.cleaning.printed_columns import find_columns
from semilla.events import Warned

ENGLISH = " ".join(make_sentence(random.Random(n), low=6) for n in range(60))
SPANISH = " ".join(
    f"Cuando la niña llegó a la casa {n}, su abuela abría la puerta y nadie sabía qué hora era."
    for n in range(60)
)
ARABIC = " ".join(f"ذهب الولد إلى البيت {n}، وكان الجد ينتظر عند الباب القديم في المساء." for n in range(60))
CHINESE = "".join(f"老人走到河边，看见第{n}只小船，船上没有人。" for n in range(90))  # noqa: RUF001
VERSE = (
    "Hwæt! We Gardena,\nþeodcyninga,\nhu ða æþelingas,\nOft Scyld Scefing,\nmonegum mægþum,\negsode eorlas,"
)
TEXTS = {
    "Beowulf": "\n".join(f"{half:<26}sceaþena þreatum." for half in VERSE.split("\n") * 4),
    "a glossary": "\n".join(f"word{n:<16}{line}" for n, line in enumerate(textwrap.wrap(ENGLISH, 50))),
    "code with comments": "\n".join(
        f"    int value_{n} = read_a_value(table, {n});     /* the value of row {n}, as the table has it */"
        for n in range(40)
    ),
    "a table": "\n".join(f"Ana María Pérez   Calle de Alcalá {n}   28014 Madrid, España" for n in range(40)),
    "justified prose": "\n".join(line.replace(" ", "   ", 3) for line in textwrap.wrap(ENGLISH, 60)),
    "prose": "\n".join(textwrap.wrap(ENGLISH, 70)),
}


def print_columns(left: str, right: str, *, width: int = 36, gap: int = 4) -> str:
    """Lay two texts out side by side."""
    pairs = zip_longest(textwrap.wrap(left, width), textwrap.wrap(right, width), fillvalue="")
    return "\n".join(f"{one:<{width + gap}}{other}".rstrip() for one, other in pairs)


@pytest.mark.parametrize("is_book", [False, True])
def test_two_columns_are_told(tmp_path: Path, is_book: bool) -> None:
    """The run warns, with a line of both columns, also inside a book. No word is lost."""
    text = print_columns(ENGLISH, SPANISH)
    path = tmp_path / "text.txt"
    path.write_text(book(text) if is_book else text, encoding="utf-8")
    documents, events = prepare(path)
    (warning,) = [event.text for event in events if isinstance(event, Warned)]
    assert "two columns of text stand side by side" in warning
    assert " | Cuando la niña" in warning
    assert sorted("".join(documents[0].text.split())) == sorted("".join(text.split()))


@pytest.mark.parametrize("width", [26, 32, 44, 52])
@pytest.mark.parametrize(("left", "right"), [(ENGLISH, SPANISH), (SPANISH, ENGLISH), (ARABIC, ARABIC[40:])])
def test_columns_of_any_width_are_found(left: str, right: str, width: int) -> None:
    """With two or more spaces between them, after an ordinary page."""
    page = "\n".join(textwrap.wrap(ENGLISH, 70))
    assert find_columns(f"{page}\n\n{print_columns(left, right, width=width, gap=3)}") is not None


def test_columns_of_short_paragraphs_are_found() -> None:
    """Most lines of a paragraph of two or three are its last."""
    left, right = (
        [
            line
            for n in range(0, len(words) - 30, 30)
            for line in textwrap.wrap(" ".join(words[n : n + 30]), 36)
        ]
        for words in (ENGLISH.split(), SPANISH.split())
    )
    rows = "\n".join(f"{one:<40}{other}" for one, other in zip(left, right, strict=False))
    assert find_columns(rows) is not None


def test_columns_of_a_script_without_spaces_are_found() -> None:
    """Chinese has no words to count."""
    assert find_columns(print_columns(CHINESE, CHINESE[30:], width=20)) is not None


@pytest.mark.parametrize("kind", TEXTS)
def test_other_texts_with_gaps_are_not_columns(kind: str) -> None:
    """Verse in halves, glossaries, code, tables and justified lines."""
    assert find_columns(TEXTS[kind]) is None
