"""Keeps the status file current, so that it is true at every instant, however the run ends.

Phases report events to the journal. It records those that concern the status and passes all of them to the listeners.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from semilla.errors import PHASES, IntegrityError, InterruptedRunError, Phase, SemillaError
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
from semilla.records.archive import list_models
from semilla.records.files import sync_directory
from semilla.records.log import ErrorTail
from semilla.records.status import (
    ErrorDetails,
    Outcome,
    PhaseEntry,
    PipelineStatus,
    now,
    read_status,
    write_status,
)
from semilla.system.endings import explain_vanishing, read_marks

REDUCED = "the output directory's file system cannot sync directories: a power cut may lose a file"

logger = logging.getLogger("semilla")


class Journal:
    """The status of one run directory, from what an earlier run left to the end of this one."""

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
            self.tell(Note(f"{error}. The status starts over, and every phase is checked again."))
        # The caller holds the lock, so a status that still says "running" belongs to a dead process.
        self.vanished = self.previous is not None and self.previous.run_state == "running"
        self.status = self.previous or self._recover_status()
        self.status.recall_finished_model()

    @property
    def was_complete(self) -> bool:
        """True when the directory held a finished run before this one."""
        return self.previous is not None and self.previous.run_state == "complete"

    def tell(self, event: Event) -> None:
        """Record what an event means for the status, then pass it to the listeners."""
        match event:
            case ArtifactWritten(path):
                name = path.relative_to(self.directory).as_posix()
                if name not in self.status.artifacts_created:
                    self.status.artifacts_created.append(name)
                    if self.started:
                        self._save()
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
        """Record that phases are about to run: a new run after a complete one, otherwise the next attempt."""
        if self.was_complete:
            before = self.status
            self.status = PipelineStatus(
                artifacts_created=before.artifacts_created,
                phase_records=before.phase_records,
                validation_results=before.validation_results,
                plan=before.plan,
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
            cause, ran_out_of_memory = explain_vanishing(marks)
            text = f"the last attempt ended unexpectedly: {cause}"
            self.tell(Warned(text, "oom") if ran_out_of_memory else Note(f"{text[0].upper()}{text[1:]}."))
        if not sync_directory(self.directory):
            self.status.durability = "reduced"
            self.tell(Warned(REDUCED, "durability"))

    def enter(self, phase: Phase) -> None:
        """Begin the phase after the last completed one."""
        self.phase, self._clock_s = phase, time.monotonic()
        self.status.enter(phase)
        self._save()
        self.tell(PhaseStarted(phase, self.status.phase_timings.get(phase, 0.0)))

    def forget(self, phase: Phase) -> None:
        """Drop the record of a phase that is about to run again."""
        if self.status.forget(phase):
            self._save()

    def plan_model(self, inputs: dict[str, Any]) -> None:
        """Choose the version of the model that is about to be trained."""
        self.status.plan_model(inputs)
        self._save()
        self.tell(Note(f"The model will be version {self.status.model_version}."))

    def list_artifacts(self, paths: Iterable[str]) -> None:
        """Record files before they are written, so that ``clean`` finds them however the process ends."""
        known = self.status.artifacts_created
        known += [path for path in dict.fromkeys(paths) if path not in known]
        self._save()

    def complete(
        self, phase: Phase, record: PhaseRecord, *, inputs: dict[str, Any], outcome: Outcome
    ) -> None:
        """Record the result of a phase, and whether it was done, reused or skipped."""
        entry = PhaseEntry(
            inputs=inputs,
            artifacts=record.artifacts,
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
        """Write a failure to the log and the status. If the disk is too full for that, the failure still counts."""
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
        """Return the results of the phases completed in this attempt."""
        return {phase: restore_record(self.status, phase) for phase in self.status.completed_phases}

    def _recover_status(self) -> PipelineStatus:
        """Make a new status. If an earlier one was lost, the kept models still know the last version."""
        status = PipelineStatus()
        for model in reversed(list_models(self.directory)):
            status.finished_model = model.status.finished_model
            status.artifacts_created += model.list_parts()
        return status

    def _stop_clock(self) -> None:
        if self.phase:
            timings, stopped_s = self.status.phase_timings, time.monotonic()
            timings[self.phase] = timings.get(self.phase, 0.0) + stopped_s - self._clock_s
            self._clock_s = stopped_s

    def _describe_kept(self) -> str:
        if not self.directory.is_dir():
            return f"nothing: {self.directory} is gone"
        done = [
            phase for phase in self.status.completed_phases if phase != PHASES[0] and self._has_results(phase)
        ]
        kept = [f"the results of {', '.join(done)}"] if done else []
        if list_checkpoints(self.directory):
            kept.append("every checkpoint")
        if kept:
            return f"{' and '.join(kept)} in {self.directory}"
        had_results = len(self.status.completed_phases) > 1
        return "nothing: the results are gone" if had_results else "nothing existed yet, so nothing is lost"

    def _has_results(self, phase: str) -> bool:
        """Return whether the files of a finished phase are still there."""
        entry = self.status.phase_records.get(phase)
        return entry is not None and all((self.directory / one.path).is_file() for one in entry.artifacts)

    def _save(self) -> None:
        write_status(self.directory, self.status)


def list_checkpoints(directory: Path) -> list[Path]:
    """List a run's checkpoints, sound or damaged."""
    found = directory.glob(names.CHECKPOINT_PATTERN)
    return [path for path in found if names.parse_checkpoint(path.name) and path.is_file()]


def restore_record(status: PipelineStatus, phase: str) -> PhaseRecord:
    """Return what the status records about a phase, in the form the phase returned it."""
    entry = status.phase_records[phase]
    return PhaseRecord(phase, entry.artifacts, entry.details, entry.warnings)
