"""Text that was encoded twice is noticed, and text that only looks like it is not."""

from __future__ import annotations

import pytest

from semilla.corpus.cleaning.clean import clean_file
from semilla.corpus.formats.mojibake import DoubleEncoding, find_double_encoding

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


@pytest.mark.parametrize(
    ("read_as", "advised"), [("cp1252", "CP1252"), ("latin-1", "ISO-8859-1"), (None, None)]
)
def test_the_advised_repair_works(read_as: str | None, advised: str | None) -> None:
    """It undoes the second encoding, whichever it was; none is advised for a text of which only a part has two."""
    text = "El niño soñó—otra vez.\n"
    twice = encode_twice(text, read_as or "latin-1")
    (warning,) = clean_file((twice + (text if read_as is None else "")).encode(), name="libro.txt").warnings
    encoding = warning.partition("iconv -f UTF-8 -t ")[2] or None
    assert encoding == advised
    if encoding:
        assert twice.encode(encoding).decode() == text
    else:
        assert warning.endswith("because a part of it was not")
