"""Generated text is wrapped between words while it is written."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from semilla.terminal.wrapping import LineWrapper


def wrap(pieces: list[str], *, columns: int) -> str:
    wrapper = LineWrapper(columns)
    return "".join(map(wrapper.push, pieces)) + wrapper.finish()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Once upon a time there was", "Once upon\na time\nthere was"),
        ("uno\n\ndos tres", "uno\n\ndos tres"),
        ("a extraordinarily b", "a\nextraordinarily b"),
        ("从前有一粒种子它想看太阳", "从前有一粒\n种子它想看\n太阳"),
        ("봄에 씨앗이 자랐다", "봄에\n씨앗이\n자랐다"),
        ("  indented", "  indented"),
    ],
)
def test_lines_break_between_words(text: str, shown: str) -> None:
    """Scripts without spaces break between characters, and a word longer than a line has one of its own."""
    assert wrap([text], columns=10) == shown


@given(st.text(st.sampled_from("ab ñ中🌱\n"), max_size=60), st.lists(st.integers(0, 60)), st.integers(2, 20))
def test_pieces_do_not_matter_and_nothing_is_lost(text: str, cuts: list[int], columns: int) -> None:
    """However the text arrives, the result is the same; only spaces become line breaks, or line breaks are added."""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    shown = wrap(pieces, columns=columns)
    assert shown == wrap([text], columns=columns)
    assert "".join(shown.split()) == "".join(text.split())
    if max(map(cell_len, text.split()), default=0) <= columns:
        assert all(cell_len(line.strip()) <= columns for line in shown.split("\n"))
