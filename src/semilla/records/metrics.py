"""TrainingMetrics of the specification: one row per epoch, and what they add up to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import pvariance

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from semilla.errors import IntegrityError
from semilla.records.files import read_record, write_record

CONVERGENCE_VARIANCE = 1e-3
"""Training has converged when the last three validation losses vary less than this (nats squared)."""
OVERFITTING_GAP = 0.5
"""Overfitting: the validation loss exceeds the training loss by more than this at the last epoch (nats)."""


class Record(BaseModel):
    """Base of everything written as JSON: NaN and infinities are refused."""

    model_config = ConfigDict(allow_inf_nan=False)


class EpochMetrics(Record):
    """One epoch. Losses in nats per token; ``learning_rate`` the base rate at its last step."""

    epoch_number: int = Field(ge=1)
    train_loss: float
    validation_loss: float
    learning_rate: float
    elapsed_seconds: int
    sample_outputs: list[str]
    gradient_norm: float
    tokens_per_second: float
    bits_per_byte: dict[str, float]
    """Validation bits per byte, per language and for all text together (``all``)."""


class StoppedEpoch(Record):
    """Where training stopped because a figure was not a finite number: it is null here, and named."""

    epoch_number: int
    step: int
    loss: float | None = None
    """Training loss of the step."""
    gradient_norm: float | None = None
    validation_loss: float | None = None
    windows: list[int] = []
    """First tokens of the windows in the step's batch."""
    not_finite: list[str]
    """The figures that were NaN or infinite; one that is null and not listed was not measured."""

    @classmethod
    def describe(
        cls, *, epoch_number: int, step: int, windows: Sequence[int] = (), **figures: float
    ) -> StoppedEpoch:
        not_finite = [name for name, value in figures.items() if not math.isfinite(value)]
        finite = {name: value for name, value in figures.items() if name not in not_finite}
        return cls.model_validate(
            {
                "epoch_number": epoch_number,
                "step": step,
                "windows": windows,
                "not_finite": not_finite,
                **finite,
            }
        )


class FinalMetrics(Record):
    """What the epochs add up to; ``total_training_time`` in seconds."""

    total_training_time: float
    best_epoch: int
    convergence_achieved: bool
    overfitting_detected: bool


class TrainingMetrics(Record):
    """The whole history of one run, as kept in ``training_metrics.json``."""

    run_id: str
    epoch_history: list[EpochMetrics]
    final_metrics: FinalMetrics | None = None
    stopped: StoppedEpoch | None = None


def summarize(history: list[EpochMetrics], *, total_training_time: float) -> FinalMetrics:
    """Aggregate a finished history (at least one epoch)."""
    assert all(before.epoch_number + 1 == after.epoch_number for before, after in pairwise(history))
    losses = [epoch.validation_loss for epoch in history]
    return FinalMetrics(
        total_training_time=total_training_time,
        best_epoch=history[losses.index(min(losses))].epoch_number,
        convergence_achieved=len(losses) >= 3 and pvariance(losses[-3:]) < CONVERGENCE_VARIANCE,
        overfitting_detected=history[-1].validation_loss - history[-1].train_loss > OVERFITTING_GAP,
    )


def write_metrics(path: Path, metrics: TrainingMetrics) -> None:
    write_record(path, metrics.model_dump(mode="json"))


def read_metrics(path: Path) -> TrainingMetrics:
    """Read ``training_metrics.json``; raises IntegrityError when it is damaged."""
    content = read_record(path)
    try:
        return TrainingMetrics.model_validate(content)
    except ValidationError as error:
        raise IntegrityError(
            f"{path} holds no training metrics: {error.error_count()} fields are wrong"
        ) from error
