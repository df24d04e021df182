"""The specification's PipelineStatus: the state machine of a run, and the file that records it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from semilla.errors import PHASES, Phase
from semilla.records import names
from semilla.records.files import Artifact
from semilla.records.record import Record
from semilla.records.results import ValidationResults
from semilla.records.run_plan import RunPlan
from semilla.records.versions import FIRST_VERSION, FinishedModel, choose_version

CurrentPhase = Literal[Phase, "complete", "failed"]
RunState = Literal["running", "interrupted", "failed", "complete"]
Outcome = Literal["done", "reused", "skipped"]


def now() -> str:
    """Return the time in ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class ErrorDetails(Record):
    """Why a run failed; ``stderr_output`` is the last 50 lines of error output."""

    failed_phase: str
    error_type: str
    error_message: str
    stderr_output: str


class PhaseEntry(Record):
    """What the status records about a phase. Its result can be reused while ``inputs`` are unchanged."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    artifacts: list[Artifact] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    outcome: Outcome = "done"
    reused: bool = False
    finished_at: str = ""


class PipelineStatus(Record):
    """A run as a whole, kept in ``pipeline_status.json``."""

    pipeline_id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    start_time: str = Field(default_factory=now)
    current_phase: CurrentPhase = "prerequisite_check"
    completed_phases: list[str] = Field(default_factory=list)
    phase_timings: dict[str, float] = Field(default_factory=dict)
    artifacts_created: list[str] = Field(default_factory=list)
    error_details: ErrorDetails | None = None
    validation_results: ValidationResults | None = None

    run_state: RunState = "running"
    attempt: int = 1
    updated_at: str = Field(default_factory=now)
    process_id: int = 0
    machine: dict[str, Any] = Field(default_factory=dict)
    """``semilla.system.memory.read_marks`` at the start of the attempt; explains a process that disappeared."""
    durability: Literal["full", "reduced"] = "full"
    """Reduced when the file system cannot sync directories: a new file may not survive a power cut."""
    configuration_sha256: str = ""
    plan: RunPlan | None = None
    """What ``--minutes`` chose."""
    phase_records: dict[str, PhaseEntry] = Field(default_factory=dict)
    model_version: str = FIRST_VERSION
    """Version of the model in training, or of the last one trained."""
    finished_model: FinishedModel | None = None
    """The last model whose training finished."""

    @property
    def is_trained(self) -> bool:
        """True when the directory holds a model whose training finished."""
        return "model_training" in self.phase_records

    def enter(self, phase: Phase) -> None:
        """Move to ``phase``: the first one, or the one after the last completed."""
        done = len(self.completed_phases)
        expected = PHASES[done] if done < len(PHASES) else "complete"
        assert self.run_state == "running", f"cannot enter {phase} while {self.run_state}"
        assert phase == expected, f"cannot enter {phase}: {expected} comes next"
        self.current_phase = phase

    def complete_phase(self, phase: Phase, entry: PhaseEntry) -> None:
        """Mark the current phase as finished: done, reused or skipped."""
        assert phase == self.current_phase, f"{phase} is not the current phase, {self.current_phase} is"
        self.completed_phases.append(phase)
        self.phase_records[phase] = entry
        if phase == "model_training":
            self.plan_model(entry.inputs)
            self.finished_model = FinishedModel(version=self.model_version, inputs=entry.inputs)

    def finish(self) -> None:
        assert tuple(self.completed_phases) == PHASES, f"only {self.completed_phases} are complete"
        self.current_phase, self.run_state = "complete", "complete"

    def fail(self, error: ErrorDetails) -> None:
        assert self.run_state == "running", f"cannot fail while {self.run_state}"
        self.current_phase, self.run_state, self.error_details = "failed", "failed", error

    def interrupt(self) -> None:
        """Mark the run as interrupted. ``current_phase`` stays: the specification has no word for it."""
        self.run_state = "interrupted"

    def begin_attempt(self) -> None:
        """Start the next attempt of the same run at the first phase."""
        self.attempt += 1
        self.current_phase, self.run_state = "prerequisite_check", "running"
        self.completed_phases, self.error_details = [], None

    def recall_finished_model(self) -> None:
        """Give a model trained before versions existed the first version."""
        if self.is_trained and self.finished_model is None:
            inputs = self.phase_records["model_training"].inputs
            self.finished_model = FinishedModel(version=FIRST_VERSION, inputs=inputs)

    def plan_model(self, inputs: dict[str, Any]) -> None:
        """Choose the version of the model trained from ``inputs``."""
        self.model_version = choose_version(inputs, self.finished_model)

    def forget(self, phase: Phase) -> bool:
        """Drop the record of a phase that runs again; for a model, also its validation results.

        A corpus or tokenizer may come out byte-identical; then the model and its validation are reused.
        """
        if phase in ("model_training", "validation"):
            self.validation_results = None
        return self.phase_records.pop(phase, None) is not None


def write_status(directory: Path, status: PipelineStatus) -> None:
    status.updated_at = now()
    status.write(directory / names.STATUS)


def read_status(directory: Path) -> PipelineStatus | None:
    """Read a run's status, or None when there is none; raises IntegrityError when it is damaged."""
    path = directory / names.STATUS
    return PipelineStatus.read(path) if path.is_file() else None
