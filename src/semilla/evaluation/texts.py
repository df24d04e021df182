"""Generated texts against their targets: in the right language, not repetitive, not copied."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from semilla.evaluation.text_metrics import (
    measure_copying,
    measure_language_share,
    measure_repetition,
    measure_usual_repetition,
    spell_ids,
)
from semilla.records.results import Finding
from semilla.tokenizer.tokenizer import Tokenizer, Tokens

SAMPLE_TOKENS = 120
LEAST_LANGUAGE_SHARE = 0.9
LEAST_TOLERATED_REPETITION = 0.01
"""Where a text hardly ever repeats itself, one run of six tokens in a hundred is still no fault."""
LONGEST_USUAL_COPY = 20
"""Tokens: half of the samples may not hold a longer verbatim run of training text."""


def judge_texts(
    texts: Mapping[str, list[str]], tokenizer: Tokenizer, stream: Tokens, *, copies: Sequence[int]
) -> Iterator[Finding]:
    """Hold samples of about ``SAMPLE_TOKENS`` tokens, by language, against the training text's own habits.

    ``copies`` is what ``measure_copies`` found in them.
    """
    for language, samples in texts.items():
        share = measure_language_share(samples, language)
        yield Finding.judge(f"language.{language}", "target", share, ">=", LEAST_LANGUAGE_SHARE)
    encoded = [tokenizer.encode(text).tolist() for samples in texts.values() for text in samples]
    most = max(measure_usual_repetition(stream, length=SAMPLE_TOKENS), LEAST_TOLERATED_REPETITION)
    repetition = statistics.fmean(map(measure_repetition, encoded))
    yield Finding.judge("repetition", "target", repetition, "<=", most)
    copied = statistics.median(copies)
    yield Finding.judge("copying_median", "target", copied, "<=", LONGEST_USUAL_COPY, unit="tokens")


def measure_copies(texts: Mapping[str, list[str]], tokenizer: Tokenizer, stream: Tokens) -> list[int]:
    """Tokens of the longest verbatim run of training text in each sample."""
    training_text = spell_ids(stream)
    samples = [text for language in texts.values() for text in language]
    return [measure_copying(tokenizer.encode(text).tolist(), training_text) for text in samples]
