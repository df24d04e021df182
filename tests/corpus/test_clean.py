"""Cleaning keeps the whole text of a file and removes what surrounds it."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.corpus.cleaning.clean import CleanText, clean_file, normalise_characters
from semilla.corpus.cleaning.ledger import Ledger
from semilla.errors import InvalidCorpusError

LICENCE = (
    "\n*** START: FULL LICENSE ***\n\nTHE FULL PROJECT GUTENBERG LICENSE\nPLEASE READ THIS\n\n"
    + "1.A. By reading or using any part of this work, you indicate that you agree.\n\n" * 30
    + "This Web site includes information about Project Gutenberg-tm, including\n"
    "how to subscribe to our email newsletter to hear about new eBooks.\n"
)
BODY = (
    "CAPÍTULO I\n\n"
    "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho\n"
    "tiempo que vivía un hidalgo de los de lanza en astillero, adarga antigua,\n"
    "rocín flaco y galgo corredor.\n\n"
    "—¿Y el ama? —preguntó el niño.\n\n"
    "“Nothing is certain,” said the cat — and it smiled at the whole of the\n"
    "company, one after another, until only the smile was left. 🌱\n\n"
) * 4
HEADER = "The Project Gutenberg eBook of Prueba\n\nTitle: Prueba\n\nAuthor: Ana Núñez\n\n"


def clean(text: str) -> CleanText:
    return clean_file(text.encode(), name="libro.txt")


def wrap(body: str, *, start: str = "THE", end: str = "THE") -> str:
    return (
        f"{HEADER}*** START OF {start} PROJECT GUTENBERG EBOOK PRUEBA ***\n\n{body}\n"
        f"*** END OF {end} PROJECT GUTENBERG EBOOK PRUEBA ***\n{LICENCE}"
    )


EXPECTED = clean(wrap(BODY)).text


def test_paragraphs_become_lines() -> None:
    """A wrapped paragraph becomes one line; headings and speech keep their own."""
    assert EXPECTED.split("\n")[:4] == [
        "CAPÍTULO I",
        "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un hidalgo "
        "de los de lanza en astillero, adarga antigua, rocín flaco y galgo corredor.",
        "—¿Y el ama? —preguntó el niño.",
        "“Nothing is certain,” said the cat — and it smiled at the whole of the company, one after another, "
        "until only the smile was left. 🌱",
    ]
    assert EXPECTED.endswith("🌱\n")


def test_metadata() -> None:
    """Title and author are read from the header, and everything removed is counted."""
    result = clean(wrap(BODY))
    assert (result.title, result.author, result.markers) == ("Prueba", "Ana Núñez", "both")
    assert result.removed["header_and_licence"] > len("".join(LICENCE.split()))
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("*** START OF THIS PROJECT GUTENBERG EBOOK X ***", "*** END OF THIS PROJECT GUTENBERG EBOOK X ***"),
        ("***START OF THE PROJECT GUTENBERG EBOOK X***", "***END OF THE PROJECT GUTENBERG EBOOK X***"),
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK THE LIFE\nAND ADVENTURES OF\nX ***",
            "*** END OF THE PROJECT GUTENBERG EBOOK THE LIFE\nAND ADVENTURES OF X ***",
        ),
        (
            "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
            "End of the Project Gutenberg Etext of X",
        ),
        (
            "**END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.08.01*END**",
            "End of Project Gutenberg's X, by Y",
        ),
        ("*** START OF THE PROJECT GUTENBERG EBOOK X ***", "Ende dieses Projekt Gutenberg Etextes X\nvon Y"),
        ("*** START OF THE PROJECT GUTENBERG EBOOK X ***", "Fin de Project Gutenberg, X"),
        ("*** START OF THE PROJECT GUTENBERG EBOOK X ***", "End of The Project Gutenberg Etext of X"),
    ],
)
def test_markers(before: str, after: str) -> None:
    """Every form of the markers is found, also one whose title spans several lines."""
    result = clean(f"{HEADER}{before}\n\n{BODY}\n{after}\n{LICENCE}")
    assert result.text == EXPECTED
    assert result.markers == "both"


def test_an_end_marker_with_a_star_needs_no_start() -> None:
    """Texts of 1992 have no start marker, and a star before the end."""
    result = clean(
        f"The Project Gutenberg Etext of X\n\n\n{BODY}\n*End of The Project Gutenberg Etext of X\n"
    )
    assert result.text == EXPECTED
    assert result.markers == "end"


def test_licence_heading_is_no_start_marker() -> None:
    """The bare START of the licence after the end does not start a second text."""
    assert "agree" not in clean(wrap(BODY)).text


def test_end_words_inside_a_sentence_end_nothing() -> None:
    """A sentence that mentions an end does not cut the book: patterns match only at the start of a line."""
    sentence = (
        "It was, he thought, near the\nend of all the projects of old Gutenberg, and the END OF THE DAY.\n\n"
    )
    assert "the END OF THE DAY." in clean(wrap(BODY + sentence + BODY)).text


def test_missing_end_marker() -> None:
    """Without an end marker, the text ends at the licence or the end of the file, with a warning."""
    for after in ("", LICENCE):
        result = clean(f"{HEADER}*** START OF THE PROJECT GUTENBERG EBOOK X ***\n{BODY}{after}")
        assert result.text == EXPECTED
        assert "no end marker" in result.warnings[0]


def test_no_markers() -> None:
    """A text without markers is kept whole; a warning is given only if it begins as Project Gutenberg's do."""
    paragraphs = EXPECTED.replace("\n", "\n\n").rstrip("\n")
    assert clean(BODY).text == f"{paragraphs}\n"
    assert clean(BODY).warnings == ()
    result = clean(f"A Project Gutenberg text.\n\n{BODY}")
    assert result.text == f"A Project Gutenberg text.\n\n{paragraphs}\n"
    assert "has no marker" in result.warnings[0]


def test_two_books_in_one_file() -> None:
    """A file of several books keeps each of them and no licence."""
    result = clean(wrap(BODY) + wrap(BODY, start="THIS", end="THIS"))
    assert result.text == EXPECTED * 2


def test_licence_in_the_middle() -> None:
    """A licence between two chapters is removed, and the chapters after it are kept."""
    assert clean(wrap(BODY + LICENCE + "\n\n" + BODY)).text == EXPECTED * 2


def test_misplaced_marker_loses_nothing() -> None:
    """The text after a misplaced end marker is kept, although it is outside the markers."""
    result = clean(wrap(BODY + "\nEnd of Project Gutenberg's first part\n\n" + BODY * 100))
    assert [line for line in result.text.split("\n") if line] == (EXPECTED * 101).split("\n")[:-1]


def test_short_text_with_a_long_licence() -> None:
    """A poem shorter than the licence around it is accepted."""
    assert clean(wrap("Soy un poema\nmuy breve.\n")).text == "Soy un poema\nmuy breve.\n"


# ---- what interrupts a text


def inside(extra: str) -> CleanText:
    return clean(wrap(f"{BODY}{extra}\n\n{BODY}"))


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ("[Illustration]", "pictures"),
        ("[Illustration: “A note for Miss Bennet”\n\n[_Copyright 1894 by George Allen._]]", "pictures"),
        ("     [Ilustración: El niño]", "pictures"),
        ("{12}", "page_numbers"),
        ("[Pg 128]", "page_numbers"),
        ("[12]", "page_numbers"),
        ("*       *       *       *       *", "ornaments"),
        ("This text belongs to Project\nGutenberg and its volunteers.", "trademark_paragraphs"),
    ],
)
def test_interruptions_go(extra: str, kind: str) -> None:
    """Pictures, page numbers, ornaments and mentions of the trademark are removed, and their characters counted."""
    result = inside(extra)
    assert result.text == EXPECTED * 2
    assert result.removed[kind] == len("".join(extra.split()))
    assert result.examples[kind] == " ".join(extra.split())[:60]


@pytest.mark.parametrize(
    "front",
    [
        "Produced by Ana and the Online Distributed\nProofreading Team at https://www.pgdp.net\n\n",
        "E-text prepared by Ana\n\n",
        "[Nota del transcriptor: La ortografía fue conservada.]\n\n",
        "TRANSCRIBER\u2019S NOTE\n\n  * Accents were kept.\n\n  * Italics are _so_.\n\n\n",
        "Transcriber's Note:\n\nThe accents of the original were kept.\n\n",
    ],
)
def test_front_matter_goes(front: str) -> None:
    """Credits and transcribers' notes after the start are removed; the text after them is kept."""
    assert clean(wrap(front + BODY)).text == EXPECTED


def test_back_matter_goes() -> None:
    """A transcriber's list of corrections at the end is removed, whatever its length."""
    back = "Typographical errors corrected by the etext transcriber:\n\nmd sight=> my sight {pg 226}\n\nI I=> I\n"
    assert clean(wrap(BODY * 9 + back)).text == EXPECTED * 9


def test_paragraph_across_a_picture() -> None:
    """A paragraph interrupted by a picture is joined."""
    torn = (
        "Lady Lucas quieted her fears a little by starting the idea of his\n\n[Illustration:\n\n     “The Party”\n]\n\n"
        "being gone to London only to get a large party for the ball and for all\nof us.\n"
    )
    assert "the idea of his being gone to London" in inside(torn).text


def test_picture_without_blank_lines() -> None:
    """A paragraph with a picture between two of its lines is joined."""
    torn = "Lady Lucas quieted her fears a little by starting the idea of his\n{}\nbeing gone to London.\n   "
    for picture in ("[Illustration]", "   [Pg 12]", "[Illustration: A ball]\n[Illustration]"):
        assert "the idea of his being gone to London." in inside(torn.format(picture)).text


def test_chapter_heading_inside_a_picture() -> None:
    """A chapter heading inside a picture is kept as a heading."""
    assert "\nChapter I.\n" in inside("[Illustration: ·PRIDE AND PREJUDICE·\n\n\nChapter I.]").text


def test_typing_marks() -> None:
    """Italics lose their underscores, double hyphens become dashes, layout marks and note numbers are removed."""
    marked = (
        "He was _so_ sure of it--or perhaps only _almost so_, for he was a man of--\n"
        "much doubt--that M^{rs.} Long,[3] of ---- Street, wrote: /* NIND “Sir, */"
    )
    plain = (
        "He was so sure of it—or perhaps only almost so, for he was a man of—much doubt—that Mrs. Long, "
        "of ---- Street, wrote: “Sir,"
    )
    assert plain in inside(marked).text


# ---- texts that are not from Project Gutenberg


def test_plain_lines_stay() -> None:
    """Lines that were never wrapped keep their layout; at most two blank lines stay together."""
    text = "Uno dos_tres -- [12].\n  Four\tfive.\n\n\n\n\n_Seis_   siete\t🌱  \n"
    result = clean(text)
    assert result.text == "Uno dos_tres -- [12].\n  Four\tfive.\n\n\n_Seis_   siete\t🌱\n"
    assert result.removed == {"white_space": 4}


def test_sentence_per_line_stays() -> None:
    """A list with one sentence a line is not joined."""
    lines = [
        f"The {animal} has gone to the {place}, and nobody knows why."
        for animal in ("cat", "elephant", "hen")
        for place in ("sea", "mountains", "market of the old town", "moon")
    ]
    assert clean("\n".join(lines)).text.splitlines() == lines


def test_mention_deep_in_a_text() -> None:
    """A text that mentions Project Gutenberg late is not a Gutenberg file and keeps the mention."""
    text = "Palabra tras palabra.\n" * 200 + "I found it at Project Gutenberg.\n"
    assert clean(text).text == text


# ---- characters


@pytest.mark.parametrize("line_break", ["\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_line_breaks(line_break: str) -> None:
    """Every kind of line break gives the same text."""
    assert clean(wrap(BODY).replace("\n", line_break)).text == EXPECTED


def test_byte_order_mark() -> None:
    """A byte order mark gives the same text too."""
    assert clean_file(wrap(BODY).encode("utf-8-sig"), name="f").text == EXPECTED


def test_composed_form() -> None:
    """Accents typed as separate characters are composed."""
    assert clean(unicodedata.normalize("NFD", wrap(BODY))).text == EXPECTED


def test_control_characters_go_and_are_counted() -> None:
    """Control characters are removed and counted, colour codes of a terminal whole."""
    result = clean("hola\0 \x1b[31mmundo\x07\x9b \ufeffsoft\u00adly" + " palabra" * 100)
    assert result.text.startswith("hola mundo softly palabra")
    assert result.removed["control_characters"] == 5
    assert result.removed["terminal_codes"] == len("\x1b[31m")


def test_reserved_characters_are_replaced_and_counted() -> None:
    """The two characters SentencePiece reserves are replaced; names of control tokens stay text."""
    result = clean("<s> uno▁dos </s>\n▅ <unk> <pad>\n")
    assert result.text == "<s> uno_dos </s>\n█ <unk> <pad>\n"
    assert result.replaced["reserved_characters"] == 2


def test_emoji_and_scripts_stay() -> None:
    """Joined emoji, characters beyond the first plane and right-to-left text do not change."""
    text = "👩🏽‍🚀 𐌰𐌱𐌲 שלום \u202eabc\u202c ñandú\n"
    assert clean(text).text == text


def test_stacked_accents() -> None:
    """A stack of 400,000 accents is cut to thirty, and does not take quadratic time."""
    began_s = time.process_time()
    result = clean("a" + "\u0301\u0327" * 200_000 + "b " + "—" * 60 + "\n")
    assert time.process_time() - began_s < 20
    assert result.text.endswith("b " + "—" * 60 + "\n")
    assert result.removed["stacked_marks"] == 400_000 - 30


@pytest.mark.parametrize(
    "hostile",
    [
        "[Illustration " * 40_000,
        "/* " * 100_000,
        "_" * 300_001,
        "* " * 150_000 + "x",
        " ." * 150_000,
        "*** START OF THE PROJECT GUTENBERG\n" * 8_000,
        "THE FULL PROJECT GUTENBERG LICENSE\n" * 2_000 + "x" * 200_000,
        "{1}[" * 80_000,
        "Title: x\n   y" * 20_000,
        " " * 300_000 + "x",
        "a\n" * 150_000,
    ],
    ids=range(11),
)
def test_hostile_texts_take_no_quadratic_time(hostile: str) -> None:
    """Texts made to cause backtracking in a pattern are cleaned, or refused, in time."""
    began_s = time.process_time()
    for text in (hostile, wrap(BODY + hostile), f"{HEADER}{hostile}"):
        try:
            clean(text)
        except InvalidCorpusError:
            continue
    assert time.process_time() - began_s < 30


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_cleaning_any_text(text: str) -> None:
    """Any text is normalised, and cleaning it again changes nothing, unless it contained no text."""
    try:
        result = clean_file(text.encode(), name="f").text
    except InvalidCorpusError:
        return
    assert result == normalise_characters(result, ledger=Ledger())
    assert result.endswith("\n")
    assert not any(one in result for one in (" \n", "\n\n\n\n", "\u2581", "\u2585", "\r", "\0"))
    assert clean_file(result.encode(), name="f").text == result
