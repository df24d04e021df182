"""The main job: for each phase, reuse its result if its inputs are unchanged, else run it; record either.

The status file is true at every instant: it is written before and after each phase and whenever an artifact appears.
"""

from __future__ import annotations

import importlib
import logging
import os
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from semilla import interrupts
from semilla.config import PipelineConfiguration
from semilla.errors import (
    PHASES,
    IncompatibleError,
    IntegrityError,
    InternalError,
    InterruptedRunError,
    InvalidConfigError,
    OutOfMemoryError,
    SemillaError,
    from_os_error,
)
from semilla.phases import PhaseRecord
from semilla.progress import (
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
from semilla.records import names
from semilla.records.files import collect_garbage, is_intact, verify_artifact, write_text
from semilla.records.lock import hold_lock
from semilla.records.log import ErrorTail, record_log
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
from semilla.settings import to_toml

logger = logging.getLogger("semilla")

PHASE_NAMES: tuple[Phase, ...] = get_args(Phase)


def run_pipeline(
    config: PipelineConfiguration,
    *,
    resume: bool | None = None,
    ask: Callable[[str], bool] | None = None,
    listeners: Iterable[Progress] = (),
) -> PipelineStatus:
    """Run all phases in ``config.output_directory``; a finished, unchanged run is left untouched.

    ``resume`` is None when the user did not choose; then ``ask`` is asked, and without it the choice is an error.
    Raises SemillaError with its ``phase`` set; by then the status file says the same.
    """
    with _open_run(config, listeners=listeners) as journal:
        records = journal.current_records(config)
        if set(records) >= set(PHASES[1:]) and journal.was_complete:
            journal.tell(Note("Nothing to do: this run is finished and nothing it depends on has changed."))
            return journal.status
        config = _decide_resume(config, journal, resume=resume, ask=ask)
        journal.start_attempt()
        journal.write_configuration(config)
        for phase in PHASE_NAMES:
            journal.run_phase(phase, config)
        journal.finish()
        return journal.status


def run_validation(
    directory: Path, *, overrides: Mapping[str, Any] | None = None, listeners: Iterable[Progress] = ()
) -> PipelineStatus:
    """Run the validation of a trained model again; ``overrides`` replace top-level settings such as ``strict``."""
    config = load_run_configuration(directory).model_copy(update=dict(overrides or {}))
    with _open_run(config, listeners=listeners) as journal:
        unfinished = [phase for phase in PHASES[1:4] if phase not in journal.status.phase_records]
        if unfinished:
            raise IncompatibleError(
                f"{directory} holds no finished training: {unfinished[0]} is not done",
                next_command=f"semilla run --resume --output-dir {directory}",
            )
        journal.start_attempt()
        for phase in PHASE_NAMES[:4]:
            journal.keep_phase(phase)
        journal.run_phase("validation", config, again=True)
        journal.finish()
        return journal.status


def load_run_configuration(directory: Path) -> PipelineConfiguration:
    """The configuration a run resolved to, with the directory it stands in now."""
    path = directory / names.CONFIGURATION
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return PipelineConfiguration.model_validate({**values, "output_directory": str(directory)})
    except FileNotFoundError:
        raise IntegrityError(
            f"{directory} is not a run's directory: it has no {names.CONFIGURATION}"
        ) from None
    except OSError as error:
        raise from_os_error(error, path) from error
    except ValueError as error:
        raise IntegrityError(f"{path} is not a configuration: {str(error).splitlines()[0]}") from error


class _open_run:  # noqa: N801 - used as a context manager
    """Hold the directory's lock, log and signals, and turn whatever goes wrong into a recorded SemillaError."""

    def __init__(self, config: PipelineConfiguration, *, listeners: Iterable[Progress]) -> None:
        self.directory = Path(config.output_directory)
        self.listeners = tuple(listeners)
        self.stack = ExitStack()
        self.journal: Journal | None = None

    def __enter__(self) -> Journal:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.stack.enter_context(hold_lock(self.directory))
            tail = self.stack.enter_context(record_log(self.directory))
            collect_garbage(self.directory)
        except BaseException as error:
            self.stack.close()
            if isinstance(error, OSError):
                error = from_os_error(error, self.directory)
            if isinstance(error, SemillaError):
                error.phase = error.phase or PHASES[0]
            raise error from None
        self.stack.enter_context(interrupts.granted())
        self.journal = Journal(self.directory, tail=tail, listeners=self.listeners)
        return self.journal

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        with self.stack:
            if error is None or self.journal is None or not isinstance(error, Exception):
                return
            failure = translate_error(error)
            self.journal.record_failure(failure, error)
            if failure is not error:
                raise failure from error


def translate_error(error: Exception) -> SemillaError:
    """Give any exception its place in the error tree."""
    if isinstance(error, SemillaError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemoryError(f"memory ran out{f': {error}' if str(error) else ''}")
    if isinstance(error, OSError):
        return from_os_error(error, error.filename or "a file")
    return InternalError(f"{type(error).__name__}: {error}")


class Journal:
    """Keeps the status file in step with the run and passes every event on to the listeners."""

    def __init__(self, directory: Path, *, tail: ErrorTail, listeners: tuple[Progress, ...]) -> None:
        self.directory = directory
        self.tail = tail
        self.listeners = listeners
        self.phase: Phase | None = None
        self.phase_started_s = 0.0
        self.started = False
        try:
            previous = read_status(directory)
        except IntegrityError as error:
            self.tell(Note(f"{error}; it is written anew, and every phase is checked again."))
            previous = None
        self.was_complete = previous is not None and previous.run_state == "complete"
        self.is_new = previous is None
        self.status = previous or PipelineStatus()

    # ---- events

    def tell(self, event: Event) -> None:
        """Note what an event means for the status, then pass it on."""
        match event:
            case ArtifactWritten(path):
                self._list_artifact(path.relative_to(self.directory).as_posix())
            case ArtifactRemoved(path):
                name = path.relative_to(self.directory).as_posix()
                if name in self.status.artifacts_created:
                    self.status.artifacts_created.remove(name)
            case Validated(results):
                self.status.validation_results = results
            case Warned(text) | Note(text):
                logger.log(
                    logging.WARNING if isinstance(event, Warned) else logging.INFO, "%s", ascii(text)[1:-1]
                )
            case EpochDone():
                self._save()
            case _:
                pass
        for listener in self.listeners:
            listener(event)

    def _list_artifact(self, name: str) -> None:
        if name not in self.status.artifacts_created:
            self.status.artifacts_created.append(name)
            if self.started:
                self._save()

    # ---- phases

    def start_attempt(self) -> None:
        """Write down what is about to run: same run, next attempt; after a complete run, a new one."""
        if self.was_complete:
            kept = self.status
            self.status = PipelineStatus(
                artifacts_created=kept.artifacts_created, phase_records=kept.phase_records
            )
        elif not self.is_new:
            self.status.begin_attempt()
        self.status.process_id = os.getpid()
        self.started = True
        self.phase = PHASE_NAMES[0]
        self._save()

    def write_configuration(self, config: PipelineConfiguration) -> None:
        """Keep the resolved configuration beside what it leads to, before anything runs."""
        write_text(self.directory / names.CONFIGURATION, to_toml(config))
        self.tell(ArtifactWritten(self.directory / names.CONFIGURATION))

    def run_phase(self, phase: Phase, config: PipelineConfiguration, *, again: bool = False) -> None:
        """Reuse, skip or run one phase."""
        interrupts.check()
        self._enter(phase)
        module = _load_phase(phase)
        if phase in config.skip_phases:
            entry = self.status.phase_records.get(phase)
            record = _restore(phase, entry) if entry else module.adopt(config)
            for artifact in record.artifacts:
                verify_artifact(artifact, root=self.directory)
            self._complete(phase, record, inputs=entry.inputs if entry else {}, outcome="skipped")
            return
        reusable = None if again else self._find_reusable(phase, module, config)
        if reusable:
            self._complete(phase, reusable, inputs=self.status.phase_records[phase].inputs, outcome="reused")
            return
        if self.status.phase_records.pop(phase, None):
            self._save()
        inputs = module.read_inputs(config, self._list_records())
        record = module.run(config, progress=self.tell)
        self._complete(phase, record, inputs=inputs, outcome="done")

    def keep_phase(self, phase: Phase) -> None:
        """Take an earlier phase as it is, once its artifacts verify."""
        self._enter(phase)
        entry = self.status.phase_records.get(phase, PhaseEntry())
        for artifact in entry.list_artifacts():
            verify_artifact(artifact, root=self.directory)
        self._complete(phase, _restore(phase, entry), inputs=entry.inputs, outcome="reused")

    def current_records(self, config: PipelineConfiguration) -> dict[str, PhaseRecord]:
        """The phases whose results can be reused as they stand, up to the first that cannot."""
        records: dict[str, PhaseRecord] = {}
        for phase in PHASE_NAMES[1:]:
            record = self._find_reusable(phase, _load_phase(phase), config, records=records)
            if record is None:
                break
            records[phase] = record
        return records

    def finish(self) -> None:
        self.phase = None
        self.status.finish()
        self._save()

    def record_failure(self, failure: SemillaError, cause: BaseException) -> None:
        """Write the failure into log and status; a disk too full for that must not hide it."""
        failure.phase = failure.phase or self.phase
        failure.kept = failure.kept or self._describe_kept()
        logger.error("%s: %s", failure.category, ascii(failure.message)[1:-1], exc_info=cause)
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

    def _enter(self, phase: Phase) -> None:
        self.phase, self.phase_started_s = phase, time.monotonic()
        self.status.enter(phase)
        self._save()
        self.tell(PhaseStarted(phase))

    def _complete(
        self, phase: Phase, record: PhaseRecord, *, inputs: dict[str, Any], outcome: Outcome
    ) -> None:
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

    def _stop_clock(self) -> None:
        if self.phase:
            spent = time.monotonic() - self.phase_started_s if self.phase_started_s else 0.0
            self.status.phase_timings[self.phase] = self.status.phase_timings.get(self.phase, 0.0) + spent
            self.phase_started_s = time.monotonic()

    def _find_reusable(
        self,
        phase: Phase,
        module: ModuleType,
        config: PipelineConfiguration,
        *,
        records: Mapping[str, PhaseRecord] | None = None,
    ) -> PhaseRecord | None:
        entry = self.status.phase_records.get(phase)
        if entry is None or phase == PHASES[0]:
            return None
        skipped = phase in config.skip_phases
        earlier = self._list_records() if records is None else records
        if not skipped and entry.inputs != module.read_inputs(config, earlier):
            return None
        damaged = [a.path for a in entry.list_artifacts() if not is_intact(a, root=self.directory)]
        if damaged:
            self.tell(Note(f"{', '.join(damaged)}: missing or not what was recorded; {phase} runs again."))
            return None
        return _restore(phase, entry)

    def _list_records(self) -> dict[str, PhaseRecord]:
        done = self.status.completed_phases
        return {phase: _restore(phase, self.status.phase_records[phase]) for phase in done}

    def _describe_kept(self) -> str:
        checkpoints = sorted(
            self.directory.glob(names.CHECKPOINT_PATTERN), key=lambda path: path.stat().st_mtime_ns
        )
        done = [phase for phase in self.status.completed_phases if phase != PHASES[0]]
        kept = [f"the results of {', '.join(done)}"] if done else []
        if self.phase == "model_training" and checkpoints:
            kept.append(f"{checkpoints[-1].name} and what it continues from")
        return (
            f"{' and '.join(kept)} in {self.directory}" if kept else "nothing was there yet, nothing is lost"
        )

    def _save(self) -> None:
        write_status(self.directory, self.status)


def _decide_resume(
    config: PipelineConfiguration, journal: Journal, *, resume: bool | None, ask: Callable[[str], bool] | None
) -> PipelineConfiguration:
    """Settle whether training continues from checkpoints of a run that did not finish."""
    if resume is None and config.resume_from_checkpoint:
        resume = True
    unfinished = list(journal.directory.glob(names.CHECKPOINT_PATTERN))
    if resume is None and unfinished and "model_training" not in journal.status.phase_records:
        if ask is None:
            raise InvalidConfigError(
                f"{journal.directory} holds {len(unfinished)} checkpoints of a training that did not finish: "
                "say --resume to continue it or --no-resume to start over",
                next_command=f"semilla run --resume --output-dir {journal.directory}",
                kept="every checkpoint",
            )
        resume = ask(f"{journal.directory} holds a training that did not finish. Continue it?")
    return config.model_copy(update={"resume_from_checkpoint": bool(resume)})


def _load_phase(phase: Phase) -> ModuleType:
    return importlib.import_module(f"semilla.phases.{phase}")


def _restore(phase: str, entry: PhaseEntry) -> PhaseRecord:
    return PhaseRecord(phase, entry.list_artifacts(), entry.details, entry.warnings)


assert PHASE_NAMES == PHASES
