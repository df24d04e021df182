"""The curves of a training, and the epochs whose samples tell how the language emerged."""

from __future__ import annotations

import math
from collections.abc import Callable

from semilla.records.metrics import OVERFITTING_GAP, EpochMetrics
from semilla.report.charts import Chart, Series, draw_chart
from semilla.report.runs import RecordedRun

SHOWN_EPOCHS = 6
"""Epochs whose samples are shown: the first, the last, and some between, closer together at the beginning."""

Measured = Callable[[EpochMetrics], float]


def list_charts(run: RecordedRun) -> list[Chart]:
    """Loss, bits per byte by language, overfitting, learning rate, gradient norm and throughput over the epochs."""
    charts = [
        draw_chart(
            "loss",
            "Loss",
            [
                _trace(run, "training", 0, lambda epoch: epoch.train_loss),
                _trace(run, "validation", 1, lambda epoch: epoch.validation_loss, marks_best=True),
            ],
            unit="nats per token",
        ),
        draw_chart("bits_per_byte", "Bits per byte", _trace_bits(run), unit="validation text"),
        draw_chart(
            "overfitting",
            "Validation loss above training loss",
            [
                _trace(run, "gap", 0, lambda epoch: epoch.validation_loss - epoch.train_loss),
                _trace(run, "overfitting begins", 1, lambda _: OVERFITTING_GAP),
            ],
            unit="nats per token",
        ),
        draw_chart(
            "learning_rate", "Learning rate", [_trace(run, "base rate", 0, lambda epoch: epoch.learning_rate)]
        ),
        draw_chart(
            "gradient_norm",
            "Gradient norm, before clipping",
            [_trace(run, "mean of the epoch", 0, lambda epoch: epoch.gradient_norm)],
        ),
        draw_chart(
            "tokens_per_second",
            "Throughput",
            [_trace(run, "training", 0, lambda epoch: epoch.tokens_per_second)],
            unit="tokens per second",
        ),
    ]
    return [chart for chart in charts if chart]


def _trace_bits(run: RecordedRun) -> list[Series]:
    """A line for each language, and one for all text where there are several."""
    languages = [key for key in (run.epochs[0].bits_per_byte if run.epochs else {}) if key != "all"]
    keys = ["all", *languages] if len(languages) > 1 else ["all"]
    return [
        _trace(run, key, place, lambda epoch, key=key: epoch.bits_per_byte.get(key, math.nan))  # type: ignore[misc]
        for place, key in enumerate(keys)
    ]


def _trace(run: RecordedRun, name: str, style: int, measure: Measured, *, marks_best: bool = False) -> Series:
    points = [(float(epoch.epoch_number), measure(epoch)) for epoch in run.epochs]
    best = run.best_epoch.epoch_number if marks_best and run.best_epoch else None
    return Series(name, points, style, best=best)


def list_samples(run: RecordedRun) -> list[tuple[str, list[tuple[int, str]]]]:
    """For each language the samples of a few epochs, to watch the language emerge."""
    shown = [run.epochs[index] for index in pick_epochs(len(run.epochs))]
    return [
        (
            language,
            [
                (epoch.epoch_number, epoch.sample_outputs[place])
                for epoch in shown
                if place < len(epoch.sample_outputs)
            ],
        )
        for place, language in enumerate(run.languages)
    ]


def pick_epochs(count: int) -> list[int]:
    """Indices of at most SHOWN_EPOCHS epochs, the first and the last among them, denser where more changes."""
    if count <= SHOWN_EPOCHS:
        return list(range(count))
    ratio = (count - 1) ** (1 / (SHOWN_EPOCHS - 1))
    return sorted({0, *(round(ratio**place) for place in range(1, SHOWN_EPOCHS)), count - 1})
