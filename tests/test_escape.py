"""Untrusted text cannot move the cursor, change colours or reorder what is shown."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.escape import escape_controls


def is_harmful(character: str) -> bool:
    kept = "\n\t"
    return (unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} and character not in kept) or (
        unicodedata.bidirectional(character)
        in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mrojo\x1b[0m", r"\u001b[31mrojo\u001b[0m"),
        ("\x1b]8;;http://x\x07", r"\u001b]8;;http://x\u0007"),
        ("a\rb\bc\x7f", r"a\u000db\u0008c\u007f"),
        ("\x9b2J", r"\u009b2J"),
        ("txt\u202egpj", r"txt\u202egpj"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_control_sequences_are_spelled_out(text: str, shown: str) -> None:
    """Each harmful character becomes an ASCII escape."""
    assert escape_controls(text) == shown


def test_ordinary_text_passes() -> None:
    """Accents, ñ, quotation marks, joined emoji, line breaks and tabs stay."""
    text = "¿Qué? —¡Pingüino!\n\t«niña» 👩‍🌾 e\u0301 日本"
    assert escape_controls(text) == text


def test_every_harmful_character_is_caught() -> None:
    """Across Unicode, exactly the harmful characters and three direction marks are replaced."""
    changed = {
        character for character in map(chr, range(0x110000)) if escape_controls(character) != character
    }
    assert {character for character in map(chr, range(0x110000)) if is_harmful(character)} <= changed
    assert changed - {"\u061c", "\u200e", "\u200f"} == {c for c in changed if is_harmful(c)}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_escaped_json_means_the_same(text: str) -> None:
    """Escaped JSON still holds the exact text."""
    assert json.loads(escape_controls(json.dumps(text, ensure_ascii=False))) == text
