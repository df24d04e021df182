"""Samples of the finished model: draws them, and measures their language, their repetition and their copying."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semilla.corpus.manifest import Document
from semilla.corpus.prompts import find_prompts
from semilla.evaluation.copying import measure_copying
from semilla.evaluation.gates import THRESHOLDS
from semilla.evaluation.text_metrics import (
    Ids,
    measure_language_share,
    measure_repetition,
    measure_usual_repetition,
)
from semilla.evaluation.words import measure_invention
from semilla.records.sample import Sample
from semilla.runtime.session import Model
from semilla.system import interrupts
from semilla.system.processor import count_cores
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.training.data import TrainingData

SAMPLES_PER_LANGUAGE = 20
SAMPLE_TOKENS = 120
"""Tokens of a sample in which repetition and copying are measured."""
ENDING_TOKENS = 400
"""Tokens of a sample from a model that has learned to end its texts."""
HELD_OUT_COMPARED = 40
"""Held-out documents that are compared with the training text."""
SEARCHED_TOKENS = 16_000_000
"""Copies are looked for in so much of the training text, about 60 MB."""
_LEAST_LETTERS = 20
"""With fewer, the language of a text is a guess."""


@dataclass(frozen=True)
class TextMeasurements:
    """``figures`` by name, thresholds that depend on the text, and details.

    ``copying_longest`` is the longest verbatim run in any sample, in tokens.
    """

    figures: dict[str, float]
    own_values: dict[str, float]
    copying_longest: int
    invented_examples: list[str]


def draw_samples(
    model: Model, documents: Sequence[Document], *, seed: int, max_tokens: int
) -> dict[str, list[Sample]]:
    """Continue held-out openings, spread over each language's held-out text; samples by language."""
    prompts = find_prompts(documents, model.tokenizer, per_language=SAMPLES_PER_LANGUAGE)
    return {
        language: draw_texts(model, openings, language=language, seed=seed, max_tokens=max_tokens)
        for language, openings in prompts.items()
    }


def draw_texts(
    model: Model, prompts: Sequence[str], *, language: str, seed: int, max_tokens: int
) -> list[Sample]:
    """Continue each prompt with the model's own settings and the next seed, all of them together."""
    interrupts.check()
    seeds = [(seed + k) % 2**63 for k in range(len(prompts))]
    streams = model.stream_all(prompts, seeds=seeds, num_threads=count_cores(), max_tokens=max_tokens)
    samples = []
    for prompt, stream in zip(prompts, streams, strict=True):
        pieces = []
        for piece in stream:
            interrupts.check()
            pieces.append(piece)
        assert stream.ended is not None
        samples.append(Sample(language=language, prompt=prompt, text="".join(pieces), ended=stream.ended))
    return samples


def measure_texts(
    samples: Mapping[str, Sequence[Sample]],
    tokenizer: Tokenizer,
    data: TrainingData,
    *,
    known_words: set[str],
) -> TextMeasurements:
    """Measure what the model wrote, without the prompts."""
    every = [sample for texts in samples.values() for sample in texts]
    encoded = [tokenizer.encode(sample.text).tolist()[:SAMPLE_TOKENS] for sample in every]
    stream = data.stream[:SEARCHED_TOKENS]
    copies = measure_copying(encoded, stream)
    invention = measure_invention(every, known_words)
    figures = {
        "invented_words": invention.share,
        **_measure_endings(every, data),
        **_measure_languages(samples),
        "repetition": statistics.fmean(map(measure_repetition, encoded)),
        "copying_median": statistics.median(copies),
    }
    usual_repetition = measure_usual_repetition(stream, length=SAMPLE_TOKENS)
    own_values = {
        "repetition": max(usual_repetition, THRESHOLDS["repetition"].value),
        "ended": THRESHOLDS["ended"].value * measure_short_share(data),
        "copying_median": max(THRESHOLDS["copying_median"].value, _find_copying_limit(data, stream)),
    }
    if not invention.num_words:
        del figures["invented_words"]
    return TextMeasurements(figures, own_values, max(copies), invention.examples)


def choose_sample_tokens(data: TrainingData) -> int:
    """The limit of a sample: longer where the model can end its texts."""
    return ENDING_TOKENS if data.has_documents else SAMPLE_TOKENS


def _find_copying_limit(data: TrainingData, stream: Ids) -> float:
    """A quarter of the usual held-out document, in tokens, or what held-out documents share with the training text.

    The latter is more where documents resemble each other, like letters from a template. 0 where there are few.
    """
    if not data.has_documents:
        return 0
    compared = data.held_out[:: max(1, len(data.held_out) // HELD_OUT_COMPARED)]
    shared = measure_copying([text.tokens[:SAMPLE_TOKENS] for text in compared], stream)
    quarter = statistics.median(len(text.tokens) for text in data.held_out) / 4
    return max(quarter, statistics.median(shared))


def measure_short_share(data: TrainingData) -> float:
    """Share of the held-out documents that end within the limit of a sample."""
    return statistics.fmean(len(text.tokens) <= ENDING_TOKENS for text in data.held_out)


def _measure_endings(samples: Sequence[Sample], data: TrainingData) -> dict[str, float]:
    """Share of the samples that the model ended, unless its texts are too few, or long, to learn that from."""
    if not data.has_documents:
        return {}
    return {"ended": statistics.fmean(sample.ended == "itself" for sample in samples)}


def _measure_languages(samples: Mapping[str, Sequence[Sample]]) -> dict[str, float]:
    """Share of the texts in the language of their prompt, for each language with texts long enough to tell."""
    texts = {
        language: [one.text for one in found if sum(map(str.isalpha, one.text)) >= _LEAST_LETTERS]
        for language, found in samples.items()
    }
    return {
        f"language.{language}": measure_language_share(found, language)
        for language, found in texts.items()
        if found
    }
