"""Real Project Gutenberg files, in all their forms since the 1990s."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from semilla.corpus.catalogue import CATALOGUE, Book
from semilla.corpus.cleaning.clean import CleanText, clean_file
from semilla.corpus.language import detect_languages
from semilla.errors import InvalidCorpusError

MIRROR = Path(__file__).parents[2].parent / "shared" / "gutenberg-mirror"
BOOKS = sorted((MIRROR / "cache" / "epub").glob("*/pg*.txt"))
SPANISH = {"2000", "13507", "16961", "17013", "17073", "17340", "18005", "24536", "320", "49836", "55514"}
START = re.compile(r"\*\*\* ?START OF TH[^*]*\*\*\*", re.S)
END = re.compile(r"\n[ *]*END OF[^\n]*PROJECT GUTENBERG", re.I)
NEVER = re.compile(
    r"Project\s+Gutenberg|Gutenberg-tm|gutenberg\.(org|net)|\*\*\* ?START|FULL LICENSE|pgdp\.net|_\w+_", re.I
)

pytestmark = pytest.mark.skipif(not BOOKS, reason="needs the real books in ../shared/gutenberg-mirror")


@cache
def clean_book(path: Path, encoding: str = "auto") -> CleanText:
    return clean_file(path.read_bytes(), name=path.name, encoding=encoding)


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_book(path: Path) -> None:
    """A book loses its header, licence and boilerplate, and keeps its words."""
    result = clean_book(path)
    raw = path.read_bytes().decode(result.encoding if result.encoding != "utf-8" else "utf-8-sig")
    start = START.search(raw)
    assert start
    end = END.search(raw, start.end())
    assert end
    between = re.sub(r"\[(Illustration|Ilustraci)[^\]]*\]+", "", raw[start.end() : end.start()])
    assert len(result.text.split()) == pytest.approx(len(between.split()), rel=0.03)
    assert result.markers == "both"
    assert result.warnings == ()
    assert not NEVER.search(result.text)
    language = "es" if path.stem[2:] in SPANISH else {"pg4650": "fr", "pg55752": "pt"}.get(path.stem, "en")
    assert detect_languages(result.text) == {language: 1.0}


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_book_is_joined(path: Path) -> None:
    """At most five line breaks are left inside paragraphs."""
    lines = clean_book(path).text.split("\n")
    torn = [
        line
        for line, after in pairwise(lines)
        if len(line) >= 50 and line[-1].isalnum() and after[:1].islower()
    ]
    assert len(torn) <= 5, torn
    assert max(map(len, lines)) < 20_000


def test_accents_of_latin_1() -> None:
    """French and Portuguese books in Latin-1 keep their accents."""
    candide = clean_book(MIRROR / "cache/epub/4650/pg4650.txt")
    casmurro = clean_book(MIRROR / "cache/epub/55752/pg55752.txt")
    assert candide.encoding == casmurro.encoding == "latin-1"
    assert "Cunégonde était, à la vérité, bien laide" in candide.text
    assert "Não houve lepra" in casmurro.text


@pytest.mark.parametrize("book", CATALOGUE["gutenberg-large"].books, ids=lambda book: str(book.book_id))
def test_catalogue_knows_its_books(book: Book) -> None:
    """The cleaned text of each catalogue book has the hash the catalogue expects."""
    body = clean_book(MIRROR / next(book.list_paths())).text.encode()
    assert sha256(body).hexdigest() == book.body_sha256


def test_verse_and_speech() -> None:
    """Verse, spoken lines and chapter headings keep their own lines; captions are removed."""
    alice, austen, quijote = (
        clean_book(MIRROR / f"cache/epub/{number}/pg{number}.txt").text for number in (11, 1342, 2000)
    )
    assert (
        "\n“How doth the little crocodile\nImprove his shining tail,\nAnd pour the waters of the Nile\n"
        in alice
    )
    assert "\nCHAPTER I.\nDown the Rabbit-Hole\nAlice was beginning to get very tired" in alice
    assert "\n“What is his name?”\n“Bingley.”\n“Is he married or single?”\n" in austen
    assert "by starting the idea of his being gone to London only to get a large party" in austen
    assert "George Allen._" not in austen
    assert "\nTú, que imitaste la llorosa vida\nque tuve, ausente y desdeñado sobre\n" in quijote
    assert (
        "\nEn un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía"
        in quijote
    )
    assert quijote.endswith("van ya tropezando, y han de caer del todo, sin duda alguna. Vale.\nFin\n")


# ---- odd files


def clean_odd(name: str, encoding: str = "auto") -> CleanText:
    return clean_book(MIRROR / "odd-files" / name, encoding)


def test_neither_header_nor_footer() -> None:
    """A text without markers is kept whole, and its lines are joined."""
    result = clean_odd("11.no-header-no-footer.txt")
    assert result.markers == "none"
    assert result.text.startswith(
        "Alice was beginning to get very tired of sitting by her sister on the bank,"
    )


def test_header_of_the_nineties() -> None:
    """The small print of the 1990s ends a header, and the last line before the footer is kept."""
    result = clean_odd("84.frank14.txt")
    assert "lawyers" not in result.text
    assert result.text.endswith("He was soon borne away by the waves and lost in darkness and distance.\n")


def test_german_footer() -> None:
    """A German end line is recognised, and the encoding is read from the file name in the header."""
    result = clean_odd("2407.no-end-marker-de.txt")
    assert result.markers == "both"
    assert result.encoding == "latin-1"
    assert result.text.endswith("ich streckte meine Arme aus, und es verschwand.\n")


def test_older_edition_in_latin_1() -> None:
    """The Latin-1 edition of Don Quijote has the words of the newer one."""
    older, newer = (
        clean_odd("2000.giten-2000-8.txt").text,
        clean_book(MIRROR / "cache/epub/2000/pg2000.txt").text,
    )
    assert len(older.split()) == pytest.approx(len(newer.split()), rel=0.03)


@pytest.mark.parametrize("name", ["1342.truncated-no-end.txt", "1342.cr-only-fragment.txt"])
def test_undeclared_encoding(name: str) -> None:
    """An undeclared cp1252 file is an error with the flag to set, and with that flag it is read."""
    with pytest.raises(InvalidCorpusError, match="--corpus-encoding cp1252"):
        clean_odd(name)
    assert "“" in clean_odd(name, "cp1252").text


def test_truncated_file() -> None:
    """A truncated file is kept to its end, with a warning."""
    result = clean_odd("1342.truncated-no-end.txt", "cp1252")
    assert result.markers == "start"
    assert "no end marker" in result.warnings[0]
    assert "\nIt is a truth universally acknowledged" in result.text


def test_carriage_returns_alone() -> None:
    """Carriage returns alone, as on old Macintosh systems, are line breaks."""
    text = clean_odd("1342.cr-only-fragment.txt", "cp1252").text
    assert text.startswith("Chapter 1\nIt is a truth universally acknowledged")
