"""Keeps the status file in step with a run: true at every instant, whatever ends it.

The journal is what the phases report to; it notes what concerns the status and passes every event on to the listeners.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from semilla.errors import PHASES, IntegrityError, InterruptedRunError, SemillaError
from semilla.events import (
    ArtifactRemoved,
    ArtifactWritten,
    EpochDone,
    Event,
    Note,
    PhaseFinished,
    PhaseStarted,
    Progress,
    Validated,
    Warned,
)
from semilla.pipeline.phases import PhaseRecord
from semilla.records import names
from semilla.records.files import sync_directory
from semilla.records.log import ErrorTail
from semilla.records.models import list_models
from semilla.records.status import (
    ErrorDetails,
    Outcome,
    Phase,
    PhaseEntry,
    PipelineStatus,
    now,
    read_status,
    write_status,
)
from semilla.system.memory import explain_vanishing, read_marks

REDUCED = "the file system of the output directory cannot sync directories: a file may be lost in a power cut"

logger = logging.getLogger("semilla")


class Journal:
    """The status of one run directory, from reading what an earlier run left to the end of this one."""

    def __init__(self, directory: Path, *, tail: ErrorTail, listeners: tuple[Progress, ...]) -> None:
        self.directory = directory
        self.tail = tail
        self.listeners = listeners
        self.phase: Phase | None = None
        self.started = False
        self._clock_s = 0.0
        try:
            self.previous = read_status(directory)
        except IntegrityError as error:
            self.previous = None
            self.tell(Note(f"{error}; it is written anew, and every phase is checked again."))
        # Whoever keeps a journal holds the lock: a run that still says "running" is gone.
        self.vanished = self.previous is not None and self.previous.run_state == "running"
        self.status = self.previous or self._recover_status()
        self.status.recall_finished_model()

    @property
    def was_complete(self) -> bool:
        """True when the directory held a finished run before this one."""
        return self.previous is not None and self.previous.run_state == "complete"

    @property
    def is_trained(self) -> bool:
        """True when the directory holds a model whose training came to its end."""
        return "model_training" in self.status.phase_records

    def tell(self, event: Event) -> None:
        """Note what an event means for the status, then pass it on."""
        match event:
            case ArtifactWritten(path):
                self._list_artifact(path.relative_to(self.directory).as_posix())
            case ArtifactRemoved(path):
                with suppress(ValueError):
                    self.status.artifacts_created.remove(path.relative_to(self.directory).as_posix())
            case Validated(results):
                self.status.validation_results = results
            case Warned(text):
                logger.warning("%s", ascii(text)[1:-1])
            case Note(text):
                logger.info("%s", ascii(text)[1:-1])
            case EpochDone():
                self._save()
            case _:
                pass
        for listener in self.listeners:
            listener(event)

    def start_attempt(self) -> None:
        """Write down that phases are about to run: after a complete run a new one, else the next attempt."""
        if self.was_complete:
            before = self.status
            self.status = PipelineStatus(
                artifacts_created=before.artifacts_created,
                phase_records=before.phase_records,
                validation_results=before.validation_results,
                model_version=before.model_version,
                finished_model=before.finished_model,
            )
        elif self.previous:
            self.status.begin_attempt()
        self.status.process_id = os.getpid()
        marks, self.status.machine = self.status.machine, read_marks()
        self.started = True
        self.phase = "prerequisite_check"
        self._clock_s = time.monotonic()
        self._save()
        if self.vanished:
            self._explain_vanishing(marks)
        if not sync_directory(self.directory):
            self.status.durability = "reduced"
            self.tell(Warned(REDUCED, "durability"))

    def enter(self, phase: Phase) -> None:
        """Begin a phase: the one after the last completed."""
        self.phase, self._clock_s = phase, time.monotonic()
        self.status.enter(phase)
        self._save()
        self.tell(PhaseStarted(phase))

    def forget(self, phase: Phase) -> None:
        """Drop what an earlier run recorded of a phase that is about to run again."""
        if self.status.forget(phase):
            self._save()

    def plan_model(self, inputs: dict[str, Any]) -> None:
        """Number the model that is about to be trained."""
        self.status.plan_model(inputs)
        self._save()
        self.tell(Note(f"The model will be version {self.status.model_version}."))

    def list_artifacts(self, names: Iterable[str]) -> None:
        """Write files down as the run's before they are there: whatever ends the process, ``clean`` finds them."""
        known = self.status.artifacts_created
        known += [name for name in dict.fromkeys(names) if name not in known]
        self._save()

    def complete(
        self, phase: Phase, record: PhaseRecord, *, inputs: dict[str, Any], outcome: Outcome
    ) -> None:
        """Record what a phase left, and how it came about."""
        entry = PhaseEntry(
            inputs=inputs,
            artifacts=[artifact.as_json() for artifact in record.artifacts],
            details=record.details,
            warnings=record.warnings,
            outcome=outcome,
            reused=outcome == "reused",
            finished_at=now(),
        )
        self._stop_clock()
        self.status.complete_phase(phase, entry)
        self._save()
        self.tell(PhaseFinished(phase, record, outcome, self.status.phase_timings[phase]))

    def finish(self) -> None:
        self.phase = None
        self.status.finish()
        self._save()

    def record_failure(self, failure: SemillaError, cause: BaseException) -> None:
        """Write the failure into log and status; a disk too full for that must not hide it."""
        failure.phase = failure.phase or self.phase
        failure.kept = failure.kept or self._describe_kept()
        logger.error("%s: %s", failure.category, ascii(failure.message)[1:-1], exc_info=cause)
        if failure.figures:
            logger.error("figures: %s", failure.figures)
        if not self.started:
            return
        self._stop_clock()
        if isinstance(failure, InterruptedRunError):
            self.status.interrupt()
        else:
            self.status.fail(
                ErrorDetails(
                    failed_phase=failure.phase or "",
                    error_type=failure.category,
                    error_message=failure.message,
                    stderr_output=self.tail.text,
                )
            )
        with suppress(SemillaError, OSError):
            self._save()

    def list_records(self) -> dict[str, PhaseRecord]:
        """What each phase completed in this attempt left."""
        return {phase: restore_record(self.status, phase) for phase in self.status.completed_phases}

    def _recover_status(self) -> PipelineStatus:
        """A new status; where an earlier one was lost, the models kept beside it still tell the last version."""
        status = PipelineStatus()
        for model in reversed(list_models(self.directory)):
            status.finished_model = model.status.finished_model
            status.artifacts_created += model.list_parts()
        return status

    def _explain_vanishing(self, marks: Mapping[str, Any]) -> None:
        cause, lacked_memory = explain_vanishing(marks)
        text = f"the last attempt ended without a word: {cause}"
        self.tell(Warned(text, "oom") if lacked_memory else Note(f"{text[0].upper()}{text[1:]}."))

    def _list_artifact(self, name: str) -> None:
        if name not in self.status.artifacts_created:
            self.status.artifacts_created.append(name)
            if self.started:
                self._save()

    def _stop_clock(self) -> None:
        if self.phase:
            timings, stopped_s = self.status.phase_timings, time.monotonic()
            timings[self.phase] = timings.get(self.phase, 0.0) + stopped_s - self._clock_s
            self._clock_s = stopped_s

    def _describe_kept(self) -> str:
        done = [phase for phase in self.status.completed_phases if phase != PHASES[0]]
        kept = [f"the results of {', '.join(done)}"] if done else []
        if any(names.is_checkpoint(path.name) for path in self.directory.glob(names.CHECKPOINT_PATTERN)):
            kept.append("every checkpoint")
        return (
            f"{' and '.join(kept)} in {self.directory}" if kept else "nothing was made yet, nothing is lost"
        )

    def _save(self) -> None:
        write_status(self.directory, self.status)


def restore_record(status: PipelineStatus, phase: str) -> PhaseRecord:
    """What the status remembers of a phase, as the phase returned it."""
    entry = status.phase_records[phase]
    return PhaseRecord(phase, entry.list_artifacts(), entry.details, entry.warnings)
