"""Templates: choices, slots, banks, and errors that name the mistake."""

from __future__ import annotations

import pytest

from semilla.errors import InternalError
from semilla.stories.templates import (
    BankSlot,
    Choice,
    Slot,
    Word,
    compile_lines,
    compile_template,
)


def test_text_slots_and_banks_are_parsed() -> None:
    """A template is a sequence of texts, slots and banks."""
    assert compile_template("¡{hero} vio {un thing.pl}! {@thanks}") == (
        "¡",
        Slot((Word("hero"),)),
        " vio ",
        Slot((Word("un"), Word("thing", ("pl",)))),
        "! ",
        BankSlot("thanks"),
    )


def test_choices_nest() -> None:
    """A choice may hold slots and other choices, and an empty option."""
    inner = Choice((("b",), ("c",)))
    assert compile_template("[a [b|c]|{x}|]") == (Choice((("a ", inner), (Slot((Word("x"),)),), ())),)


def test_a_target_stands_before_the_colon() -> None:
    """A word after a colon agrees with one fact, or with several."""
    assert compile_template("{hero:él}") == (Slot((Word("él"),), (Word("hero"),)),)
    assert compile_template("{a+b.kind:el}") == (Slot((Word("el"),), (Word("a"), Word("b", ("kind",)))),)


def test_a_capital_is_kept_beside_the_word() -> None:
    """{hero:He} asks for he, with a capital."""
    assert compile_template("{hero:He}") == (Slot((Word("he"),), (Word("hero"),), is_capitalised=True),)


def test_lines_are_alternatives() -> None:
    """Every line that is not blank is a template."""
    assert compile_lines("\n uno\n\n dos 🌱 \n") == (("uno",), ("dos 🌱",))


@pytest.mark.parametrize("text", ["[a|b", "a]", "{a", "a}", "[{a]", "{}", "{a:}", "a|b"])
def test_a_wrong_bracket_is_named(text: str) -> None:
    """The message shows the template with the mistake."""
    with pytest.raises(InternalError) as failure:
        compile_template(text)
    assert repr(text) in str(failure.value) or "slot" in str(failure.value)
