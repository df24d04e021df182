"""The curves of a training, and samples of some of its epochs."""

from __future__ import annotations

import math
from collections.abc import Callable

from semilla.records.metrics import OVERFITTING_GAP, EpochMetrics
from semilla.records.sample import Sample
from semilla.report.charts import Chart, Series, draw_chart
from semilla.report.runs import RecordedRun

SHOWN_EPOCHS = 6
"""How many epochs are shown with samples: the first, the last, and some between, denser at the beginning."""

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


def pick_epochs(count: int) -> list[int]:
    """Indices of at most SHOWN_EPOCHS epochs, including first and last, denser at the beginning."""
    if count <= SHOWN_EPOCHS:
        return list(range(count))
    ratio = (count - 1) ** (1 / (SHOWN_EPOCHS - 1))
    return sorted({0, *(round(ratio**place) for place in range(1, SHOWN_EPOCHS)), count - 1})
