"""Detecting the encoding of a text file, and refusing files that are not text."""

from __future__ import annotations

import gzip
import re

import pytest

from semilla.corpus.formats.detect import looks_like_html
from semilla.corpus.formats.plain_text import decode_text, find_declared_encoding
from semilla.errors import InvalidCorpusError

TEXT = "¿Mañana? — “Sí”, dijo el niño. 🌱\n"
PLAIN = "¿Mañana? Sí, dijo el niño.\n"
HEADER = "Title: Prueba\r\n\r\nCharacter set encoding: {}\r\n\r\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_files(encoding: str) -> None:
    """A byte order mark selects UTF-8, UTF-16 or UTF-32 and does not become part of the text."""
    assert decode_text(TEXT.encode(encoding), name="f") == (TEXT, encoding.removesuffix("-sig"))


@pytest.mark.parametrize("label", ["ISO-8859-1", "ISO Latin-1", "iso-8859-1", "Latin1"])
def test_declared_latin_1(label: str) -> None:
    """The encoding a header declares is used when the bytes are not UTF-8."""
    data = (HEADER.format(label) + PLAIN).encode("latin-1")
    text, encoding = decode_text(data, name="f")
    assert text.endswith(PLAIN)
    assert encoding == "latin-1"


def test_bytes_win_over_the_label() -> None:
    """A file labelled Latin-1 that is UTF-8 is read as UTF-8."""
    text, encoding = decode_text((HEADER.format("ISO-8859-1") + TEXT).encode("utf-8-sig"), name="f")
    assert text.endswith(TEXT)
    assert encoding == "utf-8"


def test_declared_latin_1_with_quotes_of_cp1252() -> None:
    """Bytes 0x80 to 0x9f under a Latin-1 label are the quotes and dashes of cp1252."""
    spoken = "“Sí — mañana…” dijo el niño.\n"
    text, encoding = decode_text((HEADER.format("ISO-8859-1") + spoken).encode("cp1252"), name="f")
    assert text.endswith(spoken)
    assert encoding == "cp1252"


def test_file_name_of_eight_bit_texts() -> None:
    """A header of the 1990s that names the file 2407-8.txt declares Latin-1."""
    data = f"******This file should be named 2407-8.txt or 2407-8.zip******\r\n{PLAIN}".encode("latin-1")
    assert decode_text(data, name="f")[1] == "latin-1"


@pytest.mark.parametrize(
    "label", ["hex", "rot13", "unicode_escape", "utf-7", "\x1b[31m", "", "ASCII", "../x"]
)
def test_other_labels_are_ignored(label: str) -> None:
    """Only names of text encodings are accepted from a header, no other Python codec."""
    assert find_declared_encoding(HEADER.format(label).encode()) is None


@pytest.mark.parametrize(
    ("data", "guess"),
    [
        ("El año pasado la ñandú".encode("latin-1"), "latin-1"),
        ("“Mañana”, dijo".encode("cp1252"), "cp1252"),
        ("Zażółć gęślą jaźń".encode("iso8859-2"), "iso8859-2"),
        ("Šťastný dům, déšť a loď".encode("cp1250"), "cp1250"),
        ("Старый дом за рекой стоял пустой и тёмный".encode("cp1251"), "cp1251"),
        ("Старый дом за рекой стоял пустой и тёмный".encode("koi8-r"), "koi8-r"),
        ("Nehrin kıyısındaki eski ev boştu, rüzgâr ağaçlarla konuşuyordu".encode("cp1254"), "cp1254"),  # noqa: RUF001
        ("הבית הישן על שפת הנהר עמד ריק וחשוך, והרוח דיברה עם המים".encode("cp1255"), "cp1255"),
        ("古い家は川のそばに立っていた。風が水と話していた。".encode("shift_jis"), "cp932"),
        ("アクセサリー・ブランドの人気ランキング　－　１０月".encode("cp932"), "cp932"),  # noqa: RUF001
        ("東京都、大阪府のニュース（１０月）".encode("cp932"), "cp932"),  # noqa: RUF001
        ("→詳しくはこちら　★新着★　①②".encode("cp932"), "cp932"),
        ("河邊的老房子空蕩蕩的，風在和水說話。".encode("big5"), "big5"),  # noqa: RUF001
        ("강가의 낡은 집은 비어 있었고 바람이 물과 이야기하고 있었다.".encode("euc_kr"), "cp949"),
    ],
)
def test_undecodable_file(data: bytes, guess: str) -> None:
    """A file in another encoding is an error with the byte, its place, the flag to give and a line to judge by."""
    with pytest.raises(InvalidCorpusError) as caught:
        decode_text(data, name="nota.txt")
    offset = next(place for place, byte in enumerate(data) if byte > 0x7F)
    message = str(caught.value)
    assert f"byte 0x{data[offset]:02x} at offset {offset}" in message
    assert f"--corpus-encoding {guess}" in message
    assert data.decode(guess)[:40] in message
    assert decode_text(data, name="nota.txt", encoding=guess) == (data.decode(guess), guess)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_given_encoding(encoding: str) -> None:
    """The encoding the user names is used for a file that declares none; UTF-8 stays UTF-8."""
    assert decode_text(PLAIN.encode(encoding), name="f", encoding=encoding) == (PLAIN, encoding)
    assert decode_text(TEXT.encode(), name="f", encoding=encoding) == (TEXT, "utf-8")


def test_given_encoding_that_does_not_fit() -> None:
    """Bytes that the given encoding does not define are an error that names both encodings tried."""
    with pytest.raises(InvalidCorpusError, match=r"neither UTF-8 nor cp1252.*give --corpus-encoding cp1250"):
        decode_text("Ťažký život, šťastný dům, déšť a loď".encode("cp1250"), name="f", encoding="cp1252")


def test_unknown_encoding() -> None:
    """Bytes that no encoding makes a text of get no advice that cannot work."""
    with pytest.raises(InvalidCorpusError, match="its encoding is not known") as caught:
        decode_text(b"a\xb7b\xacc\xf0 \x80\x81\x9d" * 9, name="f", encoding="shift_jis")
    assert not re.search(r"--corpus-encoding \w", str(caught.value))


def test_damaged_utf_8() -> None:
    """A UTF-8 text with a damaged place is called that, and no other encoding is advised."""
    with pytest.raises(InvalidCorpusError, match="UTF-8 but for 1 damaged bytes") as caught:
        decode_text(TEXT.encode() * 3 + b"\xf1" + TEXT.encode(), name="f")
    assert "--corpus-encoding" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "iso2022_jp"])
@pytest.mark.parametrize("text", ["The old house.\n", "Старый дом.\n", "古い家は川のそばに立っていた。\n"])
def test_encodings_proven_by_their_bytes(encoding: str, text: str) -> None:
    """UTF-16 and UTF-32 without a mark, and ISO 2022, are recognised."""
    if text.isascii() and encoding == "iso2022_jp":
        return
    data = (text * 40).encode(encoding)
    assert decode_text(data, name="f") == (text * 40, encoding)


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("Character set encoding: Windows-1251\n\n", "cp1251"),
        ("Character set encoding: KOI8-R\n\n", "koi8-r"),
        ("Character set encoding: ISO-8859-5\n\n", "iso8859-5"),
        ('<?xml version="1.0" encoding="windows-1251"?>\n', "cp1251"),
        ("Content-Type: text/plain; charset=koi8-r\n\n", "koi8-r"),
        ("# -*- coding: iso-8859-5 -*-\n", "iso8859-5"),
    ],
)
def test_declarations_are_honoured(head: str, encoding: str) -> None:
    """What the head of a file declares is used, whatever language it declares it in."""
    text = head + "Старый дом за рекой.\n" * 3
    assert decode_text(text.encode(encoding), name="f") == (text, encoding)


def test_damaged_unicode() -> None:
    """A file that contradicts its byte order mark is an error with the offset."""
    with pytest.raises(InvalidCorpusError, match="byte order mark says utf-8, but byte 7 is not utf-8"):
        decode_text(b"\xef\xbb\xbfma\xc3\xb1\xf1ana", name="f")


@pytest.mark.parametrize(
    ("encoding", "damage"),
    [
        ("utf-16-le", b"\x00\xd8"),
        ("utf-16-be", b"\xd8\x00"),
        ("utf-32-le", b"\x00\xd8\x00\x00"),
        ("utf-32-be", b"\x7f\x00\x00\x00"),
    ],
)
@pytest.mark.parametrize("text", ["The old house.\n" * 40, "Старый дом за рекой.\n" * 40])
def test_damaged_unicode_without_a_mark(text: str, encoding: str, damage: bytes) -> None:
    """Half a pair, a number that is no character, and a cut end: the encoding is recognised, and the offset named."""
    data = text.encode(encoding)
    half = len(data) // 8 * 4
    for damaged, offset in [(data[:half] + damage + data[half:], half), (data + b"a", len(data))]:
        message = f"without a byte order mark, it is {encoding}, but byte {offset:,} is not {encoding}"
        with pytest.raises(InvalidCorpusError, match=message):
            decode_text(damaged, name="f")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b" \r\n\t\r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\0\0\0", "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"a" * 99, "PNG"),
        (b"PK\x03\x04" + b"a" * 99, "ZIP"),
        (gzip.compress(b"hola", mtime=0), "gzip"),
        (b"%PDF-1.7\n", "PDF"),
        (b"hola\0mundo" * 20, "binary"),
        (bytes(range(256)) * 4, "binary"),
        (b"\n <!DOCTYPE html>\n<p>hola", "HTML"),
        (b"\xef\xbb\xbf<HTML><body>hola", "HTML"),
        (b"<?xml version='1.0'?><!-- c --><html>", "HTML"),
    ],
)
def test_files_that_are_not_text(data: bytes, kind: str) -> None:
    """Empty, binary and HTML files are refused by their content, not by their names."""
    with pytest.raises(InvalidCorpusError, match=kind):
        decode_text(data, name="libro.txt")


def test_html_in_a_text_is_text() -> None:
    """A text that mentions HTML is not a web page."""
    assert not looks_like_html(b"A page begins with <html> or <!DOCTYPE html>.")


def test_few_control_codes_are_tolerated() -> None:
    """A stray NUL in a long text does not make it binary."""
    assert "\0" in decode_text(b"palabra " * 100 + b"\0", name="f")[0]
