"""Coherence: the share of the stories a model tells that hold together, as far as the stories' own reader can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from semilla.evaluation.minimal_pairs import compute_wilson_interval
from semilla.records.results import CoherenceResults
from semilla.records.sample import Sample
from semilla.stories.reader import count_kinds, list_examples, read_story
from semilla.stories.terms import LANGUAGES
from semilla.system import interrupts


def assess_coherence(samples: Mapping[str, Sequence[Sample]]) -> dict[str, CoherenceResults]:
    """Results by language, for samples of a model of the embedded stories."""
    results: dict[str, CoherenceResults] = {}
    for language in LANGUAGES:
        readings, num_coherent = [], 0
        for sample in samples.get(language, ()):
            interrupts.check()
            readings.append(read_story(sample.whole, language))
            num_coherent += readings[-1].is_coherent and sample.ended == "itself"
        if readings:
            low, high = compute_wilson_interval(num_coherent, len(readings))
            results[language] = CoherenceResults(
                share=num_coherent / len(readings),
                low=low,
                high=high,
                num_stories=len(readings),
                contradictions=count_kinds(readings),
                examples=dict(list_examples(readings)),
            )
    return results
