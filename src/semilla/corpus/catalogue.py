"""The catalogue of ``--corpus-source NAME``: the books, the mirrors, and where a mirror keeps a book."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from semilla.corpus.source_list import split_sources
from semilla.records import names

MIRRORS = ("https://gutenberg.pglaf.org", "https://aleph.pglaf.org")
"""Mirrors for programs. The main site blocks them (gutenberg.org/policy/robot_access.html)."""


@dataclass(frozen=True)
class Book:
    """A Project Gutenberg book; ``body_sha256`` is the hash of its cleaned text."""

    book_id: int
    title: str
    author: str
    language: str
    body_sha256: str | None = None
    author_died: int | None = None
    """The year; None for a book without a known author."""

    @property
    def file_name(self) -> str:
        return f"pg{self.book_id}.txt"

    def list_paths(self) -> Iterator[str]:
        """List where a mirror may keep it, best first: UTF-8 rebuilt monthly, older UTF-8, Latin-1.

        The plain ``ID.txt`` of the older tree is not listed: it has lost its accents.
        """
        digits = str(self.book_id)
        folder = "/".join([*digits[:-1], digits] if len(digits) > 1 else ["0", digits])
        yield f"cache/epub/{digits}/pg{digits}.txt"
        yield f"{folder}/{digits}-0.txt"
        yield f"{folder}/{digits}-8.txt"


@dataclass(frozen=True)
class Collection:
    """A catalogue entry of about ``size_mb``. The generated sample has no ``books`` and may have any size."""

    name: str
    description: str
    books: tuple[Book, ...] = ()
    size_mb: int = 0


def read_books() -> dict[int, Book]:
    """Read ``books.toml`` in its order, the English books first."""
    tables = tomllib.loads((files(__package__) / "books.toml").read_text(encoding="utf-8"))
    return {int(number): Book(int(number), **table) for number, table in tables.items()}


def name_corpus(corpus_source: str) -> str:
    """The file of the clean text: the specification's name for a collection, a plain one for any other source."""
    return names.COLLECTION_CORPUS if corpus_source in CATALOGUE else names.CORPUS


def expect_size_mb(corpus_source: str, configured_mb: int) -> int:
    """Return the expected size of a corpus in MB: the catalogue's or the configuration's, whichever is larger."""
    collections = [CATALOGUE[name] for name, _ in split_sources(corpus_source) if name in CATALOGUE]
    return max(configured_mb, sum(collection.size_mb for collection in collections))


_BOOKS = read_books()
_COLLECTIONS = (
    Collection(
        "gutenberg",
        "two English books and a Spanish one, about 3 MB",
        tuple(_BOOKS[number] for number in (1342, 11, 2000)),
        size_mb=3,
    ),
    Collection(
        "gutenberg-large",
        "twenty-one well-known books, eleven in English and ten in Spanish, about 14 MB",
        tuple(_BOOKS.values()),
        size_mb=14,
    ),
    Collection("sample", "short stories in English and Spanish, generated here, without network"),
)
CATALOGUE = {collection.name: collection for collection in _COLLECTIONS}
