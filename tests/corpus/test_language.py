"""Detecting languages from samples of a text."""

from __future__ import annotations

import pytest

from semilla.corpus.language import detect_languages

ENGLISH = "It is a truth universally acknowledged, that a single man must be in want of a wife. "
SPANISH = "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, vivía un hidalgo. "


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en"), (SPANISH, "es")])
def test_one_language(text: str, language: str) -> None:
    """A text in one language is detected among all languages, short or long."""
    assert detect_languages(text) == {language: 1.0}
    assert detect_languages(text * 500) == {language: 1.0}


def test_two_languages() -> None:
    """A text in two languages shows both, the larger first, with shares that add up to one."""
    shares = detect_languages(SPANISH * 300 + ENGLISH * 100)
    assert list(shares) == ["es", "en"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["es"] == pytest.approx(0.74, abs=0.06)


def test_a_quotation_is_not_a_language() -> None:
    """A few lines in another language do not make a text bilingual."""
    assert detect_languages(SPANISH * 500 + ENGLISH * 20) == {"es": 1.0}


def test_allowed_languages() -> None:
    """Only the named languages are considered, and unknown names are ignored."""
    assert detect_languages("O menino comeu o pão da avó.", allowed=("en", "es")) == {"es": 1.0}
    assert detect_languages(SPANISH, allowed=("qq",)) == {"es": 1.0}


@pytest.mark.parametrize("text", ["a", "1234 5678", "🌱🌱🌱", "…"])
def test_text_without_language(text: str) -> None:
    """Even a text without words gets one language, because every document needs one."""
    assert sum(detect_languages(text).values()) == 1.0
