"""The specification's TrainingMetrics: one entry per epoch, and a summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import pvariance

from pydantic import Field

from semilla.records.record import Record
from semilla.records.sample import Sample, recall_samples

CONVERGENCE_VARIANCE = 1e-3
"""Training has converged when the variance of the last three validation losses is below this (nats squared)."""
OVERFITTING_GAP = 0.5
"""Overfitting: at the last epoch the validation loss exceeds the training loss by more than this (nats)."""


class EpochMetrics(Record):
    """One epoch. Losses are in nats per token. ``learning_rate`` is the base rate of the last step."""

    epoch_number: int = Field(ge=1)
    train_loss: float
    validation_loss: float
    learning_rate: float
    elapsed_seconds: int
    sample_outputs: list[str]
    """Prompt and continuation of each sample, in one text."""
    gradient_norm: float
    tokens_per_second: float
    bits_per_byte: dict[str, float]
    """Validation bits per byte, per language and for all text (``all``)."""
    samples: list[Sample] = Field(default_factory=list)
    """The same samples, with prompt and continuation apart."""

    def list_samples(self) -> list[Sample]:
        return recall_samples(self.samples, self.sample_outputs)


class StoppedEpoch(Record):
    """Where training stopped because a figure was NaN or infinite. Such a figure is null and named."""

    epoch_number: int
    step: int
    loss: float | None = None
    """Training loss of the step."""
    gradient_norm: float | None = None
    validation_loss: float | None = None
    windows: list[int] = Field(default_factory=list)
    """Positions of the first tokens of the sequences in the step's batch."""
    not_finite: list[str]
    """Figures that were NaN or infinite. A figure that is null and not listed was not measured."""

    @classmethod
    def describe(
        cls, *, epoch_number: int, step: int, windows: Sequence[int] = (), **figures: float
    ) -> StoppedEpoch:
        finite = {name: value for name, value in figures.items() if math.isfinite(value)}
        not_finite = [name for name in figures if name not in finite]
        return cls(
            epoch_number=epoch_number, step=step, windows=list(windows), not_finite=not_finite, **finite
        )


class FinalMetrics(Record):
    """Summary of all epochs; ``total_training_time`` is in seconds."""

    total_training_time: float
    best_epoch: int
    convergence_achieved: bool
    overfitting_detected: bool


class TrainingMetrics(Record):
    """The whole history of one run, kept in ``training_metrics.json``."""

    run_id: str
    epoch_history: list[EpochMetrics]
    final_metrics: FinalMetrics | None = None
    stopped: StoppedEpoch | None = None


def summarize(history: list[EpochMetrics], *, total_training_time: float) -> FinalMetrics:
    """Summarize a finished history of at least one epoch."""
    assert all(before.epoch_number + 1 == after.epoch_number for before, after in pairwise(history))
    losses = [epoch.validation_loss for epoch in history]
    return FinalMetrics(
        total_training_time=total_training_time,
        best_epoch=history[losses.index(min(losses))].epoch_number,
        convergence_achieved=len(losses) >= 3 and pvariance(losses[-3:]) < CONVERGENCE_VARIANCE,
        overfitting_detected=history[-1].validation_loss - history[-1].train_loss > OVERFITTING_GAP,
    )


def read_metrics(path: Path) -> TrainingMetrics:
    """Read ``training_metrics.json``; raises IntegrityError when it is damaged."""
    return TrainingMetrics.read(path)
