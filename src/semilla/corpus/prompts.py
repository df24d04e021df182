"""Prompts for sample texts: the first words of held-out lines, whose continuation the model has never seen."""

from __future__ import annotations

from collections.abc import Sequence

from semilla.corpus.manifest import Document

NUM_WORDS = 4


def find_prompts(documents: Sequence[Document], *, per_language: int) -> dict[str, list[str]]:
    """Find up to ``per_language`` prompts for each language, spread over its held-out text.

    They come from lines long enough to be prose. A text without such lines gives its first words.
    """
    lines: dict[str, list[str]] = {}
    for document in documents:
        held_out = document.validation_text.splitlines()[1:]  # the first line may start in the middle
        prose = [line for line in held_out if len(line.split()) > 2 * NUM_WORDS]
        lines.setdefault(document.language, []).extend(prose)
    for document in documents:
        lines[document.language] = lines[document.language] or [document.validation_text]
    return {language: _spread(found, per_language) for language, found in lines.items()}


def _spread(lines: list[str], count: int) -> list[str]:
    step = max(1, len(lines) // count)
    return [" ".join(line.split()[:NUM_WORDS]) for line in lines[::step][:count]]
