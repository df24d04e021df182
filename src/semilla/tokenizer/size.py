"""How many pieces suit a text, unless the user says how many."""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration
from semilla.tokenizer.training import SMALLEST_CHOICE

BYTES_PER_PIECE = 100
"""Training bytes for each piece. More pieces are seen too seldom to be learned
(docs/experiments/2026-11-30-few-pieces-for-a-small-text.md)."""
PIECES_PER_CHARACTER = 1.5
BYTE_PIECES = 256


def count_least_pieces(num_characters: int) -> int:
    """The smallest vocabulary with room for every byte and for so many different characters."""
    return BYTE_PIECES + round(PIECES_PER_CHARACTER * num_characters)


def suit_vocabulary(config: PipelineConfiguration, *, train_bytes: int, num_characters: int = 0) -> int:
    """The size of the vocabulary for a text of ``train_bytes`` with ``num_characters`` different characters.

    A size that the user or a plan set stays as it is, and so do vocabularies of characters and of words.
    """
    size = config.tokenizer_vocab_size
    is_set = config.minutes or "tokenizer_vocab_size" in config.model_fields_set
    if is_set or config.tokenizer_model_type not in {"unigram", "bpe"}:
        return size
    return min(size, max(SMALLEST_CHOICE, count_least_pieces(num_characters), train_bytes // BYTES_PER_PIECE))
