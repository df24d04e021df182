"""The events of a run.

Phases call ``progress(event)`` and do not know who listens: the terminal, the status file or a test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from semilla.pipeline.phases import PhaseRecord
    from semilla.records.metrics import EpochMetrics
    from semilla.records.results import ValidationResults


@dataclass(frozen=True)
class PhaseStarted:
    """``elapsed_s`` is what earlier attempts spent in the phase."""

    phase: str
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class PhaseFinished:
    """``outcome`` is done, reused or skipped; ``elapsed_s`` sums over the run's attempts."""

    phase: str
    record: PhaseRecord
    outcome: str
    elapsed_s: float


@dataclass(frozen=True)
class Note:
    """A message for the user, such as a value that was lowered or a checkpoint that was skipped."""

    text: str


@dataclass(frozen=True)
class Warned:
    """Something the user should look into; ``topic`` is an entry in ``semilla guide``."""

    text: str
    topic: str


@dataclass(frozen=True)
class Transferred:
    """Progress of one download; ``total_bytes`` is None when the server does not report it."""

    name: str
    done_bytes: int
    total_bytes: int | None


@dataclass(frozen=True)
class Activity:
    """What the run is doing now, such as evaluating or saving. The next step, epoch or phase ends it."""

    text: str


@dataclass(frozen=True)
class Resumed:
    """Training continues after ``step`` steps.

    ``losses`` are the training losses so far, in nats per token, each with the number of steps it is the mean of.
    """

    step: int
    losses: tuple[tuple[int, float], ...]
    last_epoch: EpochMetrics | None
    is_best: bool


@dataclass(frozen=True)
class StepDone:
    """One optimizer step. ``loss`` is in nats per token; ``learning_rate`` is the base rate.

    ``remaining_s`` is an estimate for the whole run: steps, the end of every epoch, and the validation.
    """

    step: int
    total_steps: int
    epoch: int
    total_epochs: int
    loss: float
    learning_rate: float
    tokens_per_second: float
    remaining_s: float


@dataclass(frozen=True)
class EpochDone:
    metrics: EpochMetrics
    is_best: bool


@dataclass(frozen=True)
class Validated:
    """The results of the validation, also when a gate was missed."""

    results: ValidationResults


@dataclass(frozen=True)
class ArtifactWritten:
    """A file is complete under its final name."""

    path: Path


@dataclass(frozen=True)
class ArtifactRemoved:
    path: Path


Event: TypeAlias = (
    PhaseStarted
    | PhaseFinished
    | Note
    | Warned
    | Transferred
    | Activity
    | Resumed
    | StepDone
    | EpochDone
    | Validated
    | ArtifactWritten
    | ArtifactRemoved
)
Progress: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore the event."""
