"""The training and validation parts are disjoint and make up the whole text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.corpus.split import OverlapGauge, find_cut, hash_long_lines

WINDOW = 50
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=2, max_size=2000)


@given(TEXTS)
def test_parts_are_disjoint_and_together_everything(text: str) -> None:
    """Neither part is empty, and joined in order they are the text."""
    cut = find_cut(text)
    assert 0 < cut < len(text)
    assert text[:cut] + text[cut:] == text


@given(st.integers(min_value=WINDOW * 12, max_value=4000))
def test_no_run_crosses_the_cut(length: int) -> None:
    """In a text without repetition, no 50 characters of one part, and so no window, are in the other part."""
    text = " ".join(f"palabra{number}" for number in range(length // 10))
    cut = find_cut(text)
    runs = [
        {part[start : start + WINDOW] for start in range(len(part) - WINDOW + 1)}
        for part in (text[:cut], text[cut:])
    ]
    assert runs[0]
    assert not runs[0] & runs[1]


@given(st.lists(st.text(alphabet="añ ¿?", min_size=1, max_size=60), min_size=100, max_size=300))
def test_validation_is_the_last_tenth(lines: list[str]) -> None:
    """The validation part is the last tenth, within two hundredths of the text."""
    text = "\n".join(lines) + "\n"
    assert len(text) - find_cut(text) == pytest.approx(len(text) / 10, abs=0.02 * len(text) + 1)


def test_cut_between_lines() -> None:
    """The cut is between two lines when a line ends nearby."""
    text = "".join(f"Línea número {number} del niño.\n" for number in range(200))
    assert text[find_cut(text) - 1] == "\n"


def test_cut_between_words() -> None:
    """Without a line break nearby, the cut is between two words."""
    text = "canción de cuna " * 100
    cut = find_cut(text)
    assert text[cut - 1] == " "


def test_cut_between_characters() -> None:
    """Without words the cut is between characters: not inside a joined emoji, not before its accents."""
    for unit in ("👩🏽\u200d🚀", "n\u0303\u0301"):
        text = unit * 100
        cut = find_cut(text)
        assert 0 < cut < len(text)
        assert not unicodedata.combining(text[cut])
        assert "\u200d" not in {text[cut], text[cut - 1]}


def test_overlap() -> None:
    """The gauge measures how much validation text is in a training part, also of another document."""
    known, unknown = (
        "Esta línea es la misma en los dos libros que se comparan.\n",
        "Y esta otra línea es nueva, nunca vista en otro lugar.\n",
    )
    gauge = OverlapGauge()
    gauge.add(hash_long_lines(known), held_out=False)
    gauge.add(hash_long_lines("fin\n"), held_out=True)
    assert gauge.share == 0.0
    gauge.add(hash_long_lines("otra\n" + known + unknown), held_out=True)
    assert gauge.share == pytest.approx(len(known.strip()) / len((known + unknown).replace("\n", "")))
