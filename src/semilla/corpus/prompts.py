"""Prompts for sample texts: openings of held-out text, whose continuation the model has never seen."""

from __future__ import annotations

from collections.abc import Sequence

from semilla.corpus.manifest import Document
from semilla.tokenizer.tokenizer import Tokenizer

OPENING_TOKENS = 6
_PROSE_CHARACTERS = 30
"""A shorter line may be a heading."""
_WORD_CHARACTERS = 20
"""A longer run without a space is not a word: its script does not separate words."""
_ENCODED_CHARACTERS = 200


def find_prompts(
    documents: Sequence[Document], tokenizer: Tokenizer, *, per_language: int
) -> dict[str, list[str]]:
    """Find up to ``per_language`` prompts for each language, spread over its held-out text.

    They are the first tokens of held-out documents, or of lines in the held-out part of a long one.
    """
    texts: dict[str, list[str]] = {}
    for document in documents:
        texts.setdefault(document.language, []).extend(map(_cut_line, _list_beginnings(document)))
    for document in documents:
        found = texts[document.language]
        texts[document.language] = found or list(map(_cut_line, document.validation_texts))
    return {
        language: [cut_opening(text, tokenizer) for text in _spread(found, per_language)]
        for language, found in texts.items()
        if found
    }


def cut_opening(text: str, tokenizer: Tokenizer) -> str:
    """The first few tokens of the first line of ``text``, at most half of it, without a part of a word."""
    line = _cut_line(text)
    ids = tokenizer.encode(line)
    # The bytes of half a character decode to U+FFFD.
    opening = tokenizer.decode(ids[: min(OPENING_TOKENS, len(ids) // 2)]).rstrip("\ufffd")
    following = line[len(opening) : len(opening) + 1]
    if following.isalnum() and opening[-1:].isalnum():
        first_word = line.partition(" ")[0]
        opening = opening.rpartition(" ")[0] or (
            first_word if len(first_word) <= _WORD_CHARACTERS else opening
        )
    return opening.rstrip() or line[:1]


def _cut_line(text: str) -> str:
    """The beginning of the first line, from which an opening is taken."""
    return text.lstrip("\n").partition("\n")[0][:_ENCODED_CHARACTERS]


def _list_beginnings(document: Document) -> Sequence[str]:
    """Held-out documents, or lines of a held-out part that are long enough to be prose, else all."""
    if not document.is_split:
        return document.validation_texts
    lines = document.validation_text.splitlines()[1:]  # the first line may start in the middle
    prose = [line for line in lines if len(line) >= _PROSE_CHARACTERS]
    return prose or [line for line in lines if line.strip()]


def _spread(texts: list[str], count: int) -> list[str]:
    step = max(1, len(texts) // count)
    return texts[::step][:count]
