"""Questions with yes or no."""

from __future__ import annotations

import pytest

from semilla.terminal import console


@pytest.mark.parametrize(
    ("typed", "default", "answer"),
    [(["y"], False, True), (["n"], True, False), ([""], True, True), ([""], False, False),
     (["maybe", "Sí"], False, True), ([EOFError], True, True), ([EOFError], False, False)],
)  # fmt: skip
def test_enter_means_the_letter_in_capitals(
    monkeypatch: pytest.MonkeyPatch, typed: list[object], default: bool, answer: bool
) -> None:
    """An unclear answer is asked again."""
    asked, answers = [], iter(typed)

    def read(question: str) -> str:
        asked.append(question)
        line = next(answers)
        if line is EOFError:
            raise EOFError
        return str(line)

    monkeypatch.setattr("builtins.input", read)
    assert console.ask("Continue it?", default=default) is answer
    assert asked == [f"Continue it? {'[Y/n]' if default else '[y/N]'} "] * len(typed)
