"""The catalogue is complete, and its books are free to use."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from semilla.corpus.catalogue import CATALOGUE, Book, expect_size_mb

BOOKS = CATALOGUE["gutenberg-large"].books
FIRST_RELEASE = 2026
"""Copyright of eighty years after the author's death ends with the eightieth year."""


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: str(book.book_id))
def test_a_book_is_free_and_known(book: Book) -> None:
    """Its author died more than eighty years ago, or is unknown; its text has a hash."""
    assert (book.author == "Anonymous") == (book.author_died is None)
    assert book.author_died is None or book.author_died + 80 < FIRST_RELEASE
    assert re.fullmatch(r"[0-9a-f]{64}", book.body_sha256 or "")
    assert book.title


def test_the_large_collection_is_bilingual_and_holds_the_small_one() -> None:
    """About twenty distinct books, half in each language, include those of the default."""
    assert Counter(book.language for book in BOOKS) == {"en": 11, "es": 10}
    assert len({book.book_id for book in BOOKS}) == len(BOOKS)
    assert set(CATALOGUE["gutenberg"].books) < set(BOOKS)


@pytest.mark.parametrize(
    ("source", "configured_mb", "expected_mb"),
    [("gutenberg-large", 3, 14), ("gutenberg-large", 50, 50), ("sample", 3, 3), ("novel.txt", 3, 3)],
)
def test_the_size_of_what_the_catalogue_knows(source: str, configured_mb: int, expected_mb: int) -> None:
    """The known size of a collection is used for disk and memory checks, without a flag."""
    assert expect_size_mb(source, configured_mb) == expected_mb
