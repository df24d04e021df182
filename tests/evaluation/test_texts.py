"""Samples are measured against the training text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_bundle import train_tiny_tokenizer

from semilla.evaluation.texts import choose_sample_tokens, measure_texts
from semilla.evaluation.words import list_known_words
from semilla.records.sample import Sample
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.training.data import HeldOutText, TrainingData

ENGLISH = "The girl looked at the river and asked her brother what was on the other side."
SPANISH = "La niña miró el río y le preguntó a su hermano qué había al otro lado."


def make_samples(**texts: str) -> dict[str, list[Sample]]:
    """A sample of each language, whose prompt is text of another language and not measured."""
    return {
        language: [Sample(language=language, prompt="Es war einmal ", text=text, ended="limit")]
        for language, text in texts.items()
    }


def make_data(stream: np.ndarray) -> TrainingData:
    return TrainingData(stream, (HeldOutText("en", stream[:9], 9),), 4, 16, 0)


def test_copied_samples_are_recognized_and_languages_told_apart() -> None:
    """A sample from the training text is one run as long as itself; the other sample is not copied."""
    tokenizer = Tokenizer(train_tiny_tokenizer())
    copied, new = (tokenizer.encode(text) for text in (ENGLISH, SPANISH))
    data = make_data(np.concatenate([tokenizer.encode("Once. "), copied, tokenizer.encode(" The end.")]))
    known = list_known_words([ENGLISH, SPANISH])
    measured = measure_texts(make_samples(en=ENGLISH, es=SPANISH), tokenizer, data, known_words=known)
    assert list(measured.figures) == [
        "invented_words", "language.en", "language.es", "repetition", "copying_median",
    ]  # fmt: skip
    assert measured.figures["invented_words"] == 0
    assert measured.figures["language.en"] == measured.figures["language.es"] == 1
    assert measured.copying_longest >= len(copied)
    assert measured.figures["copying_median"] < (len(copied) + len(new)) / 2


def test_repetition_below_one_percent_is_always_usual() -> None:
    """A training text that never repeats itself still allows one repeated run of six tokens in a hundred."""
    tokenizer = Tokenizer(train_tiny_tokenizer())
    data = make_data(np.arange(500, dtype=np.int32))
    measured = measure_texts(make_samples(en=ENGLISH), tokenizer, data, known_words=set())
    assert measured.own_values["repetition"] == 0.01


def test_endings_are_measured_where_the_text_has_documents() -> None:
    """The target falls with the share of held-out documents that are too long to end within a sample."""
    tokenizer = Tokenizer(train_tiny_tokenizer())
    held_out = tuple(HeldOutText("en", np.zeros(size, np.int32), 1) for size in (10, 10, 10, 1000))
    data = replace(make_data(np.arange(500, dtype=np.int32)), held_out=held_out, document_sizes=(10,) * 30)
    assert choose_sample_tokens(data) == 400
    samples = make_samples(en=ENGLISH)
    samples["en"] += [samples["en"][0].model_copy(update={"ended": "itself"})] * 3
    measured = measure_texts(samples, tokenizer, data, known_words=set())
    assert measured.figures["ended"] == 0.75
    assert measured.own_values["ended"] == pytest.approx(0.9 * 0.75)


def test_copying_that_held_out_documents_show_is_allowed() -> None:
    """A sample may share as long a run of tokens with the training text as the usual held-out document does."""
    tokenizer = Tokenizer(train_tiny_tokenizer())
    new, shared = np.arange(500, 540, dtype=np.int32), np.arange(100, 150, dtype=np.int32)
    documents = [np.concatenate([new, shared[:size], new]) for size in (30, 40, 50)]
    data = replace(
        make_data(np.arange(500, dtype=np.int32)),
        held_out=tuple(HeldOutText("en", tokens, 1) for tokens in documents),
        document_sizes=(10,) * 30,
    )
    measured = measure_texts(make_samples(en=ENGLISH), tokenizer, data, known_words=set())
    assert measured.own_values["copying_median"] == 40


def test_a_text_too_short_to_tell_has_no_language() -> None:
    """Neither does a language of which all texts are so short count as missed."""
    tokenizer = Tokenizer(train_tiny_tokenizer())
    data = make_data(np.arange(500, dtype=np.int32))
    measured = measure_texts(make_samples(en=ENGLISH, es="Sí."), tokenizer, data, known_words=set())
    assert [name for name in measured.figures if "language" in name] == ["language.en"]
