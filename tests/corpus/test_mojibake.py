"""Text that was encoded twice is noticed, and text that only looks like it is not."""

from __future__ import annotations

import pytest

from semilla.corpus.cleaning.clean import clean_file
from semilla.corpus.cleaning.repair import repair_text
from semilla.corpus.formats.mojibake import DoubleEncoding, find_double_encoding
from semilla.installation import list_missing

TEXT = "El niño preguntó: «¿Y la señora?» — “The cat is here!” 🌱"


def encode_twice(text: str, encoding: str) -> str:
    """What a program makes of UTF-8 that it reads in another encoding; cp1252 leaves five bytes as they are."""
    data = text.encode()
    if encoding == "latin-1":
        return data.decode("latin-1")
    return "".join(bytes([one]).decode("cp1252", "replace").replace("\ufffd", chr(one)) for one in data)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize(
    ("text", "count", "meant"),
    [
        (TEXT, 10, "ñ"),
        ("It is the cat\u2019s.", 1, "\u2019"),
        ("Привет, мир", 9, "П"),
        ("猫がいる", 4, "猫"),
        ("¡Hola 🌱!", 2, "¡"),
        ("a café in ESPAÑA", 2, "é"),
    ],
)
def test_every_script_is_recognised(encoding: str, text: str, count: int, meant: str) -> None:
    """All characters that were encoded twice are counted, and the first is shown as it is and as it was."""
    double = find_double_encoding(encode_twice(text, encoding))
    assert double == DoubleEncoding(count, encode_twice(meant, encoding), meant)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "",
        "plain",
        "Привет",
        "猫がいる",
        "AMANHÃ» e IRMÃ—",
        "«ESPAÑ»",
        "Gruß« und Spaß»",
        "À côté, Â ou Ã",
        "5 £ ¼ ©",
    ],
)
def test_other_text_is_left_in_peace(text: str) -> None:
    """Accents, capitals before quotation marks and other scripts are not taken for it."""
    assert find_double_encoding(text) is None


def test_the_warning_has_a_count_and_an_example() -> None:
    """The text is kept, and the warning names its file."""
    clean = clean_file(encode_twice(TEXT * 3, "cp1252").encode(), name="libro.txt")
    (warning,) = clean.warnings
    assert warning.startswith(
        "libro.txt was encoded twice: it has 30 characters such as 'Ã±' in place of 'ñ'"
    )
    assert clean.text.startswith("El niÃ±o")


@pytest.mark.skipif(bool(list_missing(["ftfy"])), reason="needs the extra text")
@pytest.mark.parametrize("read_as", ["cp1252", "latin-1"])
def test_the_repair_undoes_the_second_encoding(read_as: str) -> None:
    """Whichever it was, and only on the lines that have two."""
    text = "El niño soñó: otra vez.\n"
    repaired = repair_text(encode_twice(text, read_as) + text + "plain\n猫がいる\n")
    assert repaired.text == text + text + "plain\n猫がいる\n"
    assert repaired.count == 3
    assert repaired.after == text.rstrip()


@pytest.mark.skipif(bool(list_missing(["ftfy"])), reason="needs the extra text")
@pytest.mark.parametrize(
    "text", ["", "plain", "Привет", "猫がいる", "«ESPAÑ»", "AMANHÃ» e IRMÃ—", "À côté, Â ou Ã", "5 £ ¼ ©"]
)
def test_the_repair_leaves_other_text_in_peace(text: str) -> None:
    """Also quotation marks, ligatures and other things that ftfy can change."""
    kept = f"{text} “so” ﬁne…"
    assert repair_text(kept).text == kept
