"""PipelineStatus of the specification, its state machine, and the file that follows the whole run."""

from __future__ import annotations

import math
import operator
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from semilla.errors import PHASES, IntegrityError
from semilla.records import names
from semilla.records.files import Artifact, read_record, write_record
from semilla.records.metrics import Record
from semilla.records.versions import FIRST_VERSION, FinishedModel, choose_version

Phase = Literal["prerequisite_check", "corpus_download", "tokenizer_training", "model_training", "validation"]
CurrentPhase = Literal[Phase, "complete", "failed"]
RunState = Literal["running", "interrupted", "failed", "complete"]
Outcome = Literal["done", "reused", "skipped"]
Kind = Literal["gate", "target"]
Comparison = Literal["<", "<=", ">", ">="]

_COMPARISONS: dict[Comparison, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def now() -> str:
    """The time in ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class ErrorDetails(Record):
    """Why a run failed; ``stderr_output`` is the last 50 lines of error output."""

    failed_phase: str
    error_type: str
    error_message: str
    stderr_output: str


class InferenceMetrics(Record):
    """The device's view: one next-token step at full context, and the memory of a fresh process (MiB)."""

    latency_p95_ms: int
    latency_p95_us: float
    latency_p50_us: float
    latency_p99_us: float
    first_token_ms: float
    tokens_per_sec: float
    rss_mb: int
    peak_mb: int


class Finding(Record):
    """One gate or target: a figure beside its threshold."""

    name: str
    kind: Kind
    value: float | None
    threshold: float
    comparison: Comparison
    unit: str = ""
    passed: bool

    @classmethod
    def judge(
        cls, name: str, kind: Kind, value: float, comparison: Comparison, threshold: float, *, unit: str = ""
    ) -> Finding:
        """Hold ``value`` against its threshold; a value that is not finite is not measured, and not passed."""
        is_measured = math.isfinite(value)
        return cls(
            name=name,
            kind=kind,
            value=value if is_measured else None,
            threshold=threshold,
            comparison=comparison,
            unit=unit,
            passed=is_measured and _COMPARISONS[comparison](value, threshold),
        )

    @property
    def miss(self) -> str:
        """How far the value is from its threshold."""
        return "an unknown amount" if self.value is None else f"{abs(self.value - self.threshold):.4g}"

    @property
    def topic(self) -> str:
        """The entry of the guide that explains a miss: ``language.en`` -> language, ``int8_cost`` -> int8."""
        head = self.name.split(".")[0]
        return head if head == "minimal_pairs" else head.split("_")[0]

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.4g}"
        return f"{self.name} = {value} (needs {self.comparison} {self.threshold:g} {self.unit})".replace(
            " )", ")"
        )


class PairAccuracy(Record):
    """Share of minimal pairs whose grammatical sentence the model finds likelier, with its Wilson 95 % interval."""

    accuracy: float
    low: float
    high: float
    num_pairs: int


class GrammarResults(PairAccuracy):
    """One language's minimal pairs, all together and by phenomenon."""

    coverage: float
    """Share of the pairs whose every word is known from the training text; only they are counted."""
    phenomena: dict[str, PairAccuracy]


class ValidationResults(Record):
    """Quality checks after training. Losses in nats per token."""

    sample_generations: list[str]
    final_train_loss: float
    final_val_loss: float
    inference_metrics: InferenceMetrics
    constitutional_compliance: bool
    best_val_loss: float
    bits_per_byte: dict[str, float]
    findings: list[Finding]
    minimal_pairs: dict[str, GrammarResults] = Field(default_factory=dict)
    """By language; empty where the training text lacks the words."""
    copying_longest: int | None = None
    """Tokens of the longest verbatim run of training text in any sample; None in a run from before it was kept."""


class PhaseEntry(Record):
    """What the status remembers of a phase: its inputs decide whether the result can be reused."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    artifacts: list[dict[str, Any]] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    outcome: Outcome = "done"
    reused: bool = False
    finished_at: str = ""

    def list_artifacts(self) -> list[Artifact]:
        return [Artifact(**artifact) for artifact in self.artifacts]


class PipelineStatus(Record):
    """The run as a whole, as kept in ``pipeline_status.json``."""

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
    """What ``semilla.system.memory.read_marks`` told when the attempt began; explains a process that vanished."""
    durability: Literal["full", "reduced"] = "full"
    """Reduced where the file system cannot sync directories: a new name may not survive a power cut."""
    configuration_sha256: str = ""
    phase_records: dict[str, PhaseEntry] = Field(default_factory=dict)
    model_version: str = FIRST_VERSION
    """Of the model that is being trained, or was trained last."""
    finished_model: FinishedModel | None = None
    """The last model whose training came to its end."""

    def enter(self, phase: Phase) -> None:
        """Move to ``phase``: the first one, or the one right after the last completed."""
        expected = (
            PHASES[len(self.completed_phases)] if len(self.completed_phases) < len(PHASES) else "complete"
        )
        assert self.run_state == "running", f"cannot enter {phase} while {self.run_state}"
        assert phase == expected, f"cannot enter {phase}: {expected} comes next"
        self.current_phase = phase

    def complete_phase(self, phase: Phase, entry: PhaseEntry) -> None:
        """Mark the current phase finished (done, reused or skipped)."""
        assert phase == self.current_phase, f"{phase} is not the current phase, {self.current_phase} is"
        self.completed_phases.append(phase)
        self.phase_records[phase] = entry
        if phase == "model_training":
            self.model_version = choose_version(entry.inputs, self.finished_model)
            self.finished_model = FinishedModel(version=self.model_version, inputs=entry.inputs)

    def finish(self) -> None:
        assert tuple(self.completed_phases) == PHASES, f"only {self.completed_phases} are complete"
        self.current_phase, self.run_state = "complete", "complete"

    def fail(self, error: ErrorDetails) -> None:
        assert self.run_state == "running", f"cannot fail while {self.run_state}"
        self.current_phase, self.run_state, self.error_details = "failed", "failed", error

    def interrupt(self) -> None:
        """Stop where it is; ``current_phase`` stays, as the specification has no word for it."""
        self.run_state = "interrupted"

    def begin_attempt(self) -> None:
        """Start walking the phases again, as the next attempt of the same run."""
        self.attempt += 1
        self.current_phase, self.run_state = "prerequisite_check", "running"
        self.completed_phases, self.error_details = [], None

    def recall_finished_model(self) -> None:
        """Give the model of an earlier Semilla, which counted no versions, the first one."""
        trained = self.phase_records.get("model_training")
        if trained and self.finished_model is None:
            self.finished_model = FinishedModel(version=FIRST_VERSION, inputs=trained.inputs)

    def plan_model(self, inputs: dict[str, Any]) -> None:
        """Number the model that is trained from ``inputs`` now."""
        self.model_version = choose_version(inputs, self.finished_model)

    def forget(self, phase: Phase) -> bool:
        """Drop what is remembered of a phase that runs again, and with a model the verdict on it.

        A corpus or a tokenizer may be made again to the same bytes; the model and its verdict are reused then.
        """
        if phase in ("model_training", "validation"):
            self.validation_results = None
        return self.phase_records.pop(phase, None) is not None


def write_status(directory: Path, status: PipelineStatus) -> None:
    status.updated_at = now()
    write_record(directory / names.STATUS, status.model_dump(mode="json"))


def read_status(directory: Path) -> PipelineStatus | None:
    """Read the status of a run directory, None when there is none; raises IntegrityError when it is damaged."""
    path = directory / names.STATUS
    if not path.is_file():
        return None
    try:
        return PipelineStatus.model_validate(read_record(path))
    except ValidationError as error:
        raise IntegrityError(
            f"{path} is not a pipeline status: {error.error_count()} fields are wrong"
        ) from error
