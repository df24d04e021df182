"""How hard a text is to predict: the bits per byte of a model that only counts sequences of bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semilla.corpus.manifest import Document

ORDER = 5
"""Bytes before the predicted one. More of them change the figure of a book by less than 2 %."""
MOST_TRAIN_BYTES = 4_000_000
"""Counting takes about a second a megabyte."""
MOST_HELD_OUT_BYTES = 200_000
PER_BYTE = 256

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class TextFacts:
    """Size of a text in UTF-8 bytes, how many different characters it has, and how hard it is to predict."""

    train_bytes: int
    held_out_bytes: int
    num_kinds: int
    """Different characters."""
    bytes_per_character: float
    counted_bits: float
    """Bits per held-out byte of the counting model."""
    pilot: float | None = None
    """The logarithm of measured over expected bits after a small training on it; None without one."""


def measure_facts(documents: Sequence[Document]) -> TextFacts:
    """Measure the training and the held-out part of a corpus."""
    train = [text for one in documents for text in one.train_texts]
    held_out = [text for one in documents for text in one.validation_texts]
    train_bytes, held_out_bytes = (sum(len(text.encode()) for text in part) for part in (train, held_out))
    return TextFacts(
        train_bytes,
        held_out_bytes,
        len(set().union(*map(set, train), *map(set, held_out))),
        train_bytes / max(1, sum(map(len, train))),
        measure_counted_bits(_spread(train, MOST_TRAIN_BYTES), _spread(held_out, MOST_HELD_OUT_BYTES)),
    )


def _spread(texts: Sequence[str], most_bytes: int) -> bytes:
    """At most so many bytes, an equal share from the beginning of every text."""
    contents = [text.encode() for text in texts]
    share = min(1.0, most_bytes / max(1, sum(map(len, contents))))
    return b"".join(content[: math.ceil(share * len(content))] for content in contents)


def measure_counted_bits(train: bytes, held_out: bytes) -> float:
    """Bits per byte of ``held_out`` under counts of ``train``, of up to ``ORDER`` bytes before each byte.

    The counts of every order are interpolated with those of the next shorter one: Witten and Bell 1991,
    https://doi.org/10.1109/18.87000, method C.
    """
    chances: npt.NDArray[np.float64] = np.full(len(held_out), 1 / PER_BYTE)
    seen, asked = _to_array(train), _to_array(held_out)
    for order in range(ORDER + 1):
        contexts, pairs = _make_keys(seen, order)
        asked_contexts, asked_pairs = _make_keys(asked, order)
        known_pairs, pair_counts = np.unique(pairs, return_counts=True)
        known_contexts, context_counts = np.unique(contexts, return_counts=True)
        _, num_kinds = np.unique(known_pairs // np.uint64(PER_BYTE), return_counts=True)
        found = _look_up(known_pairs, pair_counts, asked_pairs)
        total = _look_up(known_contexts, context_counts, asked_contexts)
        kinds = _look_up(known_contexts, num_kinds, asked_contexts)
        shorter = chances[order:]
        blended = (found + kinds * shorter) / np.maximum(total + kinds, 1)
        chances = np.concatenate([chances[:order], np.where(total > 0, blended, shorter)])
    return float(-np.log2(chances).mean()) if len(chances) else math.nan


def _to_array(content: bytes) -> Keys:
    return np.frombuffer(content, dtype=np.uint8).astype(np.uint64)


def _make_keys(content: Keys, order: int) -> tuple[Keys, Keys]:
    """The ``order`` bytes before each byte as one number, and the same with the byte itself."""
    if len(content) <= order:
        return content[:0], content[:0]
    contexts = np.zeros(len(content) - order, dtype=np.uint64)
    for place in range(order):
        contexts = contexts * np.uint64(PER_BYTE) + content[place : len(content) - order + place]
    return contexts, contexts * np.uint64(PER_BYTE) + content[order:]


def _look_up(known: Keys, counts: npt.NDArray[np.int64], asked: Keys) -> npt.NDArray[np.float64]:
    """The count of every key asked for; 0 for one that is not known."""
    if not len(known):
        return np.zeros(len(asked))
    places = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[places] == asked, counts[places], 0).astype(np.float64)
