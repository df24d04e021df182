"""The first screen of a report: what was made, and a text that it wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from semilla.formatting import format_duration, format_size
from semilla.records.sample import Sample
from semilla.report.runs import RecordedRun

LANGUAGES = {
    "en": "English", "es": "Spanish", "fr": "French", "pt": "Portuguese", "de": "German", "it": "Italian",
}  # fmt: skip
"""Code -> name. Any other language is shown by its code."""

_TIED = "\N{NO-BREAK SPACE}"


def describe_run(run: RecordedRun) -> str:
    """What the model is, what it read, how often and how long; as far as it is known."""
    size = run.get_details("model_training").get("num_parameters")
    model = f"A language model with {size:,} parameters." if size else "A language model."
    reading = " ".join(_describe_reading(run))
    return f"{model} It read {reading}." if reading else model


def _describe_reading(run: RecordedRun) -> Iterator[str]:
    count, training_s = len(run.epochs), run.status.phase_timings.get("model_training")
    if not run.manifest or not count:
        return
    languages = join_names([LANGUAGES.get(language, language) for language in run.languages])
    yield f"{format_size(run.manifest.train_bytes)} of {languages} text"
    yield "once" if count == 1 else f"{count} times"
    if training_s:
        yield f"in {format_duration(training_s).replace(' ', _TIED)}"


def list_written(run: RecordedRun) -> list[Sample]:
    """The first sample of each language: of the finished model, or else of the last epoch."""
    samples = run.results.list_samples() if run.results else []
    if not samples and run.epochs:
        samples = run.epochs[-1].list_samples()
    languages = [sample.language for sample in samples]
    return [sample for place, sample in enumerate(samples) if languages.index(sample.language) == place]


def join_names(names: Sequence[str]) -> str:
    """Write names as people list them: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
