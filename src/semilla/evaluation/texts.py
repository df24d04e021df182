"""Samples of the finished model: draws them, and measures their language, their repetition and their copying."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semilla.corpus.manifest import Document
from semilla.corpus.prompts import find_prompts
from semilla.evaluation.gates import THRESHOLDS
from semilla.evaluation.text_metrics import (
    measure_copying,
    measure_language_share,
    measure_repetition,
    measure_usual_repetition,
    spell_ids,
)
from semilla.runtime.session import Model
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import Tokenizer, Tokens

SAMPLES_PER_LANGUAGE = 20
SAMPLE_TOKENS = 120


@dataclass(frozen=True)
class TextMeasurements:
    """``figures`` by name; the repetition usual in the training text; the longest verbatim run in any sample."""

    figures: dict[str, float]
    usual_repetition: float
    copying_longest: int


def draw_samples(model: Model, documents: Sequence[Document], *, seed: int) -> dict[str, list[str]]:
    """Continue held-out openings, spread over each language's held-out text; samples by language."""

    def draw(opening: str, *, place: int) -> str:
        interrupts.check()
        return opening + model.generate(opening, seed=(seed + place) % 2**63, max_tokens=SAMPLE_TOKENS)

    found = find_prompts(documents, per_language=SAMPLES_PER_LANGUAGE)
    return {
        language: [draw(opening, place=place) for place, opening in enumerate(openings)]
        for language, openings in found.items()
    }


def measure_texts(
    samples: Mapping[str, Sequence[str]], tokenizer: Tokenizer, stream: Tokens
) -> TextMeasurements:
    """Measure samples by language; ``stream`` is the training text."""
    encoded = [tokenizer.encode(text).tolist() for texts in samples.values() for text in texts]
    training_text = spell_ids(stream)
    copies = []
    for ids in encoded:
        interrupts.check()
        copies.append(measure_copying(ids, training_text))
    shares = {
        f"language.{language}": measure_language_share(texts, language) for language, texts in samples.items()
    }
    figures = {
        **shares,
        "repetition": statistics.fmean(map(measure_repetition, encoded)),
        "copying_median": statistics.median(copies),
    }
    usual = max(measure_usual_repetition(stream, length=SAMPLE_TOKENS), THRESHOLDS["repetition"].value)
    return TextMeasurements(figures, usual, max(copies))
