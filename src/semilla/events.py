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
    phase: str


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
class StepDone:
    """One optimizer step. ``loss`` is in nats per token; ``learning_rate`` is the base rate."""

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
    | StepDone
    | EpochDone
    | Validated
    | ArtifactWritten
    | ArtifactRemoved
)
Progress: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore the event."""
