"""The curves of a training, and samples of some of its epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from semilla.escape import escape_controls
from semilla.formatting import format_duration
from semilla.records.metrics import OVERFITTING_GAP, EpochMetrics
from semilla.records.sample import Sample
from semilla.report.charts import Chart, Series, draw_chart
from semilla.report.runs import RecordedRun

SHOWN_EPOCHS = 6
"""How many epochs are shown with samples: the first, the last, and some between, denser at the beginning."""
MOST_STEPS = 100
"""How many epochs the cursor stops at, chosen like those with samples."""
ENDINGS = {"itself": "ended by itself", "stop": "stopped at a stop text", "limit": "cut at the limit"}
"""How a sample ended, in words."""

Measured = Callable[[EpochMetrics], float]


def list_charts(run: RecordedRun) -> list[Chart]:
    """Loss, bits per byte by language, overfitting, learning rate, gradient norm and throughput by epoch."""
    loss = [
        _trace(run, "training", lambda epoch: epoch.train_loss),
        _trace(run, "validation", lambda epoch: epoch.validation_loss, 1, marks_best=True),
    ]
    gap = [
        _trace(run, "gap", lambda epoch: epoch.validation_loss - epoch.train_loss),
        _trace(run, "overfitting above this line", lambda _: OVERFITTING_GAP, 1),
    ]
    rate = [_trace(run, "base rate", lambda epoch: epoch.learning_rate)]
    norm = [_trace(run, "mean of the epoch", lambda epoch: epoch.gradient_norm)]
    speed = [_trace(run, "training", lambda epoch: epoch.tokens_per_second)]
    charts = [
        draw_chart("loss", "Loss", loss, unit="nats per token"),
        draw_chart("bits_per_byte", "Bits per byte", _trace_bits(run), unit="validation text"),
        draw_chart("overfitting", "Validation loss minus training loss", gap, unit="nats per token"),
        draw_chart("learning_rate", "Learning rate", rate),
        draw_chart("gradient_norm", "Gradient norm before clipping", norm),
        draw_chart("tokens_per_second", "Throughput", speed, unit="tokens per second"),
    ]
    return [chart for chart in charts if chart]


def _trace_bits(run: RecordedRun) -> list[Series]:
    """One line per language and one for all text, or only the latter if there is one language."""
    languages = [key for key in (run.epochs[0].bits_per_byte if run.epochs else {}) if key != "all"]
    keys = ["all", *languages] if len(languages) > 1 else ["all"]
    return [
        _trace(run, key, lambda epoch, key=key: epoch.bits_per_byte.get(key, math.nan), style)  # type: ignore[misc]
        for style, key in enumerate(keys)
    ]


def _trace(
    run: RecordedRun, name: str, measure: Measured, style: int = 0, *, marks_best: bool = False
) -> Series:
    points = [(float(epoch.epoch_number), measure(epoch)) for epoch in run.epochs]
    best = run.best_epoch.epoch_number if marks_best and run.best_epoch else None
    return Series(name, points, style, best=best)


def list_samples(run: RecordedRun) -> list[tuple[str, list[tuple[int, Sample]]]]:
    """For each language, the samples of a few epochs with their epoch numbers."""
    shown = [run.epochs[index] for index in pick_epochs(len(run.epochs))]
    samples = [(epoch.epoch_number, epoch.list_samples()) for epoch in shown]
    return [
        (language, [(epoch, texts[place]) for epoch, texts in samples if place < len(texts)])
        for place, language in enumerate(run.languages)
    ]


def pick_epochs(count: int, *, most: int = SHOWN_EPOCHS) -> list[int]:
    """Indices of at most ``most`` epochs, including first and last, denser at the beginning."""
    if count <= most:
        return list(range(count))
    ratio = (count - 1) ** (1 / (most - 1))
    return sorted({0, *(round(ratio**place) for place in range(1, most)), count - 1})


def list_cursor_steps(runs: Sequence[RecordedRun]) -> list[dict[str, Any]]:
    """The epochs that the cursor stops at: number, place in words, and the samples if there is one run."""
    count = max((len(run.epochs) for run in runs), default=0)
    places = [list(_describe_places(run)) for run in runs]
    steps = []
    for index in pick_epochs(count, most=MOST_STEPS):
        known = [(run.name, one[index]) for run, one in zip(runs, places, strict=True) if index < len(one)]
        words = [known[0][1]] if len(runs) == 1 else [f"{name}: {place}" for name, place in known if place]
        steps.append(
            {
                "epoch": index + 1,
                "place": " · ".join([f"epoch {index + 1} of {count}", *filter(None, words)]),
                "samples": list(_describe_samples(runs[0], index)) if len(runs) == 1 else [],
            }
        )
    return steps


def _describe_places(run: RecordedRun) -> Iterator[str]:
    """For each epoch: the step at its end, if known, and the training time so far."""
    steps_per_epoch = run.get_details("model_training").get("steps_per_epoch")
    for elapsed_s, epoch in zip(
        accumulate(epoch.elapsed_seconds for epoch in run.epochs), run.epochs, strict=True
    ):
        step = f"step {epoch.epoch_number * steps_per_epoch:,} · " if steps_per_epoch else ""
        yield f"{step}{format_duration(elapsed_s)}"


def _describe_samples(run: RecordedRun, index: int) -> Iterator[dict[str, str]]:
    for sample, language in zip(run.epochs[index].list_samples(), run.languages, strict=False):
        ending = ENDINGS.get(sample.ended or "", "")
        prompt, text = escape_controls(sample.prompt), escape_controls(sample.text)
        yield {"language": language, "prompt": prompt, "text": text, "ending": ending}
