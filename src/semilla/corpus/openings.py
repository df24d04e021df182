"""Openings for generated text: the first words of held-out lines, which the model has never seen go on."""

from __future__ import annotations

from collections.abc import Sequence

from semilla.corpus.manifest import Document

NUM_WORDS = 4


def find_openings(documents: Sequence[Document], *, per_language: int) -> dict[str, list[str]]:
    """Up to ``per_language`` openings for each language, spread over its held-out text.

    They come from lines long enough to be prose; a text without such lines gives its first words.
    """
    lines: dict[str, list[str]] = {}
    for document in documents:
        held_out = document.validation_text.splitlines()[1:]  # the first line may begin in the middle
        prose = [line for line in held_out if len(line.split()) > 2 * NUM_WORDS]
        lines.setdefault(document.language, []).extend(prose)
    for document in documents:
        lines[document.language] = lines[document.language] or [document.validation_text]
    return {language: _spread(found, per_language) for language, found in lines.items()}


def _spread(lines: list[str], count: int) -> list[str]:
    step = max(1, len(lines) // count)
    return [" ".join(line.split()[:NUM_WORDS]) for line in lines[::step][:count]]
