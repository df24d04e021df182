"""Wrapped prose is told from verse, headings and speech by the lengths of lines."""

from __future__ import annotations

import pytest

from semilla.corpus.cleaning.paragraphs import PICTURE_GAP, join_wrapped_lines, measure_wrap_column

PROSE = """\
En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho
tiempo que vivía un hidalgo de los de lanza en astillero, adarga antigua,
rocín flaco y galgo corredor. Una olla de algo más vaca que carnero,
salpicón las más noches, duelos y quebrantos los sábados.
"""
SPANISH_VERSE = """\
Tú, que imitaste la llorosa vida
que tuve, ausente y desdeñado sobre
el gran ribazo de la Peña Pobre,
de alegre a penitencia reducida;
"""
ENGLISH_VERSE = """\
“How doth the little crocodile
    Improve his shining tail,
And pour the waters of the Nile
    On every golden scale!
"""


def join(text: str) -> list[str]:
    return join_wrapped_lines(text, is_book=True, column=73).text.split("\n")


def strip_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_prose_is_joined() -> None:
    """A paragraph wrapped at the file's column becomes one line."""
    assert join(PROSE) == [" ".join(PROSE.split())]


@pytest.mark.parametrize("verse", [SPANISH_VERSE, ENGLISH_VERSE])
def test_verse_stays(verse: str) -> None:
    """Verse keeps its lines, whether they start with small letters or with an indent."""
    assert join(f"{PROSE}\n{verse}\n{PROSE}")[1:-1] == strip_lines(verse)


def test_headings_stay() -> None:
    """A heading of two short lines keeps both."""
    assert join("CHAPTER I.\nDown the Rabbit-Hole\n") == ["CHAPTER I.", "Down the Rabbit-Hole"]


def test_wrapped_heading_is_joined() -> None:
    """A long heading wrapped early, which ends without punctuation, is one line."""
    heading = "De lo que el cura y el barbero pasaron con don\nQuijote cerca de su enfermedad\n"
    assert join(heading) == ["De lo que el cura y el barbero pasaron con don Quijote cerca de su enfermedad"]


def test_early_wrapped_letter_is_joined() -> None:
    """An indented letter, wrapped well before the column, is joined as prose."""
    letter = (
        "    I wished a round score of men in case of\n    natives, buccaneers, or the odious French, and I\n"
        "    had the worry of the deuce itself to find so much\n    as half a dozen.\n"
    )
    assert len(join(letter)) == 1


def test_speech_in_one_block() -> None:
    """Spoken lines without blank lines between them stay apart; a long wrapped one is joined."""
    block = (
        "— Dice verdad —dijo el comisario—: que él mesmo ha escrito su historia, y\n"
        "no hay más.\n— Y le pienso quitar —dijo Ginés.\n— ¿Tan bueno es? —dijo don Quijote.\n"
    )
    assert join(block)[1:] == ["— Y le pienso quitar —dijo Ginés.", "— ¿Tan bueno es? —dijo don Quijote."]
    assert join(block)[0].endswith("escrito su historia, y no hay más.")


def test_indented_paragraphs_in_one_block() -> None:
    """Paragraphs separated only by an indent stay apart."""
    first = "   " + PROSE.replace(
        "los sábados.", "los sábados, y así\npasaba los días de la semana sin pena."
    )
    assert len(join(first + "   " + PROSE)) == 2


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("the experience of three-and-", "twenty years", "three-and-twenty years"),
        ("what is the good of the reason of charm?—", "it is there", "charm?—it is there"),
        ("they were in the middle of ----", "Street", "of ---- Street"),
    ],
)
def test_glue_in_english(before: str, after: str, joined: str) -> None:
    """Words split at a hyphen are joined, and an English dash touches both its neighbours."""
    filler = "He said that he had never been told before about that, not by her—never,\n"
    rest = f"{after} and so on, until nothing more was left to say of it\nat all.\n"
    text = f"{filler}{'x' * (60 - len(before))} {before}\n{rest}"
    assert joined in join_wrapped_lines(text, is_book=True, column=60).text.split("\n")[0]


def test_glue_in_spanish() -> None:
    """A Spanish dash that closes an aside keeps the space after it."""
    text = (
        "Tuvo muchas veces competencia con el cura de su lugar —que era hombre—\n"
        "sobre cuál había sido mejor caballero —decía él— y nunca se pusieron de\nacuerdo.\n"
    )
    assert "hombre— sobre" in join_wrapped_lines(text, is_book=True, column=71).text.split("\n")[0]


def test_sentence_across_a_picture() -> None:
    """A sentence continues across a picture or the blank line of a page break, but not after its end."""
    torn = "Lady Lucas quieted her fears a little by starting the idea of his"
    rest = "being gone to London only to get a large party."
    assert join(f"{torn}\n\n{PICTURE_GAP}\n\n{rest}\n") == [f"{torn} {rest}"]
    assert join(f"{torn}\n\n{rest}\n") == [f"{torn} {rest}"]
    assert len(join(f"{torn}.\n\n{PICTURE_GAP}\n\n{rest}\n")) == 2


def test_wrap_column() -> None:
    """The wrap column is measured in the file; verse, lists and unwrapped text have none."""
    assert measure_wrap_column(PROSE * 20) == 73
    assert measure_wrap_column(SPANISH_VERSE * 20) is None
    assert measure_wrap_column("\n".join(" ".join(PROSE.split()) for _ in range(20))) is None
    assert measure_wrap_column("leche\npan\nhuevos\n") is None
    assert measure_wrap_column("") is None
