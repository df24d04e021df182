"""Prompts come from the held-out text of every language."""

from __future__ import annotations

from semilla.corpus.manifest import Document
from semilla.corpus.prompts import find_prompts

PROSE = "\n".join(f"La niña número {n} mira el río y no dice nada a nadie." for n in range(10))


def make_document(language: str, held_out: str) -> Document:
    return Document(title="t", language=language, source="s", train_text="", validation_text=held_out)


def test_prompts_are_spread_over_the_text_of_each_language() -> None:
    """The first line is not used, because it may start in the middle of a sentence."""
    documents = [make_document("es", PROSE), make_document("en", "short\n" + "one two three four five " * 3)]
    assert find_prompts(documents, per_language=3) == {
        "es": ["La niña número 1", "La niña número 4", "La niña número 7"],
        "en": ["one two three four"],
    }


def test_a_text_of_short_lines_gives_its_first_words() -> None:
    """Verse has no long lines, so its first words are used."""
    verse = "Verde que te quiero\nverde. Verde viento.\nVerdes ramas. ¡Ay!\n"
    assert find_prompts([make_document("es", verse)], per_language=20) == {"es": ["Verde que te quiero"]}
