"""Lines of a PDF become paragraphs in one column and in two, where the left margin of one is the middle of the page."""

from __future__ import annotations

import random
import textwrap

import pytest
from text_makers import make_sentence

from semilla.corpus.formats.pdf_paragraphs import Line, join_lines

LETTER, LEADING = 5.0, 12.0
PARAGRAPHS = [
    " ".join(make_sentence(random.Random(100 * n + m), low=4) for m in range(2 + n % 4)) for n in range(24)
]


def set_column(paragraphs: list[str], *, left: float, width: int) -> list[Line]:
    """Lay paragraphs out under each other, with half a line between them."""
    lines, bottom = [], 700.0
    for paragraph in paragraphs:
        for text in textwrap.wrap(paragraph, width):
            lines.append(Line(text, left, left + LETTER * len(text), bottom, 10.0))
            bottom -= LEADING
        bottom -= LEADING / 2
    return lines


@pytest.mark.parametrize("num_columns", [1, 2])
def test_every_paragraph_is_a_line(num_columns: int) -> None:
    """Also one that ends far from the margin of the page, and under a title that crosses both columns."""
    width = 90 // num_columns
    size = len(PARAGRAPHS) // num_columns
    title = Line("A title above all of it " * 3, 60, 420, 720, 10.0)
    page = [title]
    for column in range(num_columns):
        page += set_column(
            PARAGRAPHS[column * size : (column + 1) * size], left=50 + 250 * column, width=width
        )
    found = [line for line in join_lines([page]).split("\n") if line]
    assert [paragraph for paragraph in PARAGRAPHS if paragraph not in found] == []


def test_a_stop_behind_the_mark_of_a_note_belongs_to_its_line() -> None:
    """PDFium gives it as a line of its own, below the raised mark."""
    lines = [Line("The end of a sentence with a note", 50, 215, 700, 10.0), Line(".", 222, 224, 696, 10.0)]
    assert join_lines([lines]) == "The end of a sentence with a note."
