"""What ``--corpus-source NAME`` can name, as data: the books, the mirrors, where a mirror keeps a book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MIRRORS = ("https://gutenberg.pglaf.org", "https://aleph.pglaf.org")
"""Mirrors for programs, which the main site blocks (gutenberg.org/policy/robot_access.html)."""


@dataclass(frozen=True)
class Book:
    """A Project Gutenberg book; ``body_sha256`` is the hash of its cleaned text where we know it."""

    book_id: int
    title: str
    author: str
    language: str
    body_sha256: str | None = None

    @property
    def file_name(self) -> str:
        return f"pg{self.book_id}.txt"

    def list_paths(self) -> Iterator[str]:
        """List where a mirror may keep it, best first: UTF-8 rebuilt monthly, older UTF-8, Latin-1.

        The plain ``ID.txt`` of the older tree is left out: it has lost its accents.
        """
        digits = str(self.book_id)
        folder = "/".join([*digits[:-1], digits] if len(digits) > 1 else ["0", digits])
        yield f"cache/epub/{digits}/pg{digits}.txt"
        yield f"{folder}/{digits}-0.txt"
        yield f"{folder}/{digits}-8.txt"


@dataclass(frozen=True)
class Collection:
    """A catalogue entry; ``books`` is empty for the generated sample."""

    name: str
    description: str
    books: tuple[Book, ...] = ()


CATALOGUE: dict[str, Collection] = {
    collection.name: collection
    for collection in (
        Collection(
            "gutenberg",
            "two English books and a Spanish one, about 3 MB",
            (
                Book(
                    1342,
                    "Pride and Prejudice",
                    "Jane Austen",
                    "en",
                    "655c217142aff25c496e17e98d1ebc10264051b92b5e6f7062315aacf4958741",
                ),
                Book(
                    11,
                    "Alice's Adventures in Wonderland",
                    "Lewis Carroll",
                    "en",
                    "85e69d65d0019bb7c3a2d193966a360ff52ace32e2b91beecf34c781e9d10a59",
                ),
                Book(
                    2000,
                    "Don Quijote",
                    "Miguel de Cervantes Saavedra",
                    "es",
                    "666be97f45118e413f2fa1f4aa7c40e9f9feb9b2570082fee077cf6a0214b05e",
                ),
            ),
        ),
        Collection("sample", "short stories in English and Spanish, made on the spot without network"),
    )
}
