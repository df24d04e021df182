"""Samples are measured against the training text."""

from __future__ import annotations

import numpy as np
from tiny_bundle import train_tiny_tokenizer

from semilla.evaluation.texts import measure_texts
from semilla.tokenizer.tokenizer import Tokenizer

ENGLISH = "The girl looked at the river and asked her brother what was on the other side."
SPANISH = "La niña miró el río y le preguntó a su hermano qué había al otro lado."


def test_copied_samples_are_recognized_and_languages_told_apart() -> None:
    """A sample from the training text is one run as long as itself; the other sample is not copied."""
    tokenizer = Tokenizer(train_tiny_tokenizer())
    copied, new = (tokenizer.encode(text) for text in (ENGLISH, SPANISH))
    stream = np.concatenate([tokenizer.encode("Once. "), copied, tokenizer.encode(" The end.")])
    measured = measure_texts({"en": [ENGLISH], "es": [SPANISH]}, tokenizer, stream)
    assert list(measured.figures) == ["language.en", "language.es", "repetition", "copying_median"]
    assert measured.figures["language.en"] == measured.figures["language.es"] == 1
    assert measured.copying_longest >= len(copied)
    assert measured.figures["copying_median"] < (len(copied) + len(new)) / 2


def test_repetition_below_one_percent_is_always_usual() -> None:
    """A training text that never repeats itself still allows one repeated run of six tokens in a hundred."""
    tokenizer = Tokenizer(train_tiny_tokenizer())
    measured = measure_texts({"en": [ENGLISH]}, tokenizer, np.arange(500, dtype=np.int32))
    assert measured.usual_repetition == 0.01
