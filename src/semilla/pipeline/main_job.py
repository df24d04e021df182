"""The main job: for each phase, reuse its result if its inputs are unchanged, else run it; record either."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import recall_settings, to_command, to_toml
from semilla.errors import (
    PHASES,
    IncompatibleError,
    IntegrityError,
    InternalError,
    InvalidConfigError,
    OutOfMemoryError,
    SemillaError,
    from_os_error,
    is_out_of_memory,
)
from semilla.events import ArtifactWritten, Note, Progress, silent
from semilla.pipeline.archive import forget_kept_model, keep_finished_model
from semilla.pipeline.journal import Journal, restore_record
from semilla.pipeline.phases import PhaseRecord
from semilla.pipeline.trackers import open_tracker
from semilla.prerequisites.storage import create_with_parents, refuse_foreign_files
from semilla.records import names
from semilla.records.configuration import read_run_configuration
from semilla.records.files import collect_garbage, hash_file, is_intact, verify_artifact, write_text
from semilla.records.folders import collect_folders
from semilla.records.heartbeat import open_pulse
from semilla.records.lock import hold_lock
from semilla.records.log import record_log
from semilla.records.status import Phase, PipelineStatus
from semilla.system import interrupts

PHASE_NAMES: tuple[Phase, ...] = get_args(Phase)
assert PHASE_NAMES == PHASES


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
    with open_run(config, listeners=listeners) as journal:
        stale = find_stale_phase(journal, config) if journal.is_trained else None
        if journal.was_complete and stale is None:
            journal.tell(Note("Nothing to do: this run is finished and nothing it depends on has changed."))
            return journal.status
        config = decide_resume(config, journal, resume=resume, ask=ask)
        if stale and stale != "validation":
            with _blame_first_phase(journal.directory):
                keep_finished_model(journal, keep=config.keep_models)
        journal.start_attempt()
        write_configuration(config, journal)
        for phase in PHASE_NAMES:
            run_phase(phase, config, journal)
        finish_run(config, journal)
        forget_kept_model(journal)
        return journal.status


def run_validation(
    directory: Path, *, overrides: Mapping[str, Any] | None = None, listeners: Iterable[Progress] = ()
) -> PipelineStatus:
    """Run the validation of a trained model again; ``overrides`` replace top-level settings such as ``strict``."""
    config = read_run_configuration(directory).model_copy(update=dict(overrides or {}))
    with open_run(config, listeners=listeners) as journal:
        unfinished = [phase for phase in PHASES[1:4] if phase not in journal.status.phase_records]
        if unfinished:
            raise IncompatibleError(
                f"{directory} holds no finished training: {unfinished[0]} is not done",
                next_command=to_command(config, resume_from_checkpoint=True),
            )
        journal.start_attempt()
        for phase in PHASE_NAMES[:4]:
            journal.enter(phase)
            record = restore_record(journal.status, phase)
            _verify(record, journal.directory)
            inputs = journal.status.phase_records[phase].inputs
            journal.complete(phase, record, inputs=inputs, outcome="reused")
        journal.forget("validation")
        run_phase("validation", config, journal)
        finish_run(config, journal)
        return journal.status


def run_phase(phase: Phase, config: PipelineConfiguration, journal: Journal) -> None:
    """Skip, reuse or run one phase."""
    interrupts.check()
    journal.enter(phase)
    module = load_phase(phase)
    recorded = journal.status.phase_records.get(phase)
    if phase in config.skip_phases:
        record = restore_record(journal.status, phase) if recorded else module.adopt(config)
        _verify(record, journal.directory)
        if (
            recorded and phase != "corpus_download"
        ):  # a corpus may outlive its source: that is why it is skipped
            _refuse_stale(phase, recorded.inputs, module.read_inputs(config, journal.list_records()), config)
        journal.complete(phase, record, inputs=recorded.inputs if recorded else {}, outcome="skipped")
        return
    inputs = module.read_inputs(config, journal.list_records())
    reusable = find_reusable(
        phase, journal.status, inputs=inputs, directory=journal.directory, tell=journal.tell
    )
    if reusable:
        journal.complete(phase, reusable, inputs=inputs, outcome="reused")
        return
    journal.forget(phase)
    if phase == "model_training":
        journal.plan_model(inputs)
    record = module.run(config, progress=journal.tell)
    journal.complete(phase, record, inputs=inputs, outcome="done")


def find_reusable(
    phase: Phase,
    status: PipelineStatus,
    *,
    inputs: dict[str, Any],
    directory: Path,
    tell: Progress = silent,
) -> PhaseRecord | None:
    """What a run in ``directory`` recorded of a phase, if it came from the same inputs and is still what it was."""
    recorded = status.phase_records.get(phase)
    if phase == "prerequisite_check" or recorded is None:
        return None
    if recall_settings(recorded.inputs, inputs) != inputs:
        return None
    damaged = [a.path for a in recorded.list_artifacts() if not is_intact(a, root=directory)]
    if damaged:
        tell(Note(f"{', '.join(damaged)}: missing or not what was recorded; {phase} runs again."))
        return None
    return restore_record(status, phase)


def find_stale_phase(journal: Journal, config: PipelineConfiguration) -> Phase | None:
    """The first phase that would run again, None when every phase could be reused as it stands."""
    records: dict[str, PhaseRecord] = {}
    for phase in PHASE_NAMES[1:]:
        recorded = journal.status.phase_records.get(phase)
        if recorded is None:
            return phase
        try:
            is_skipped = phase in config.skip_phases
            inputs = recorded.inputs if is_skipped else load_phase(phase).read_inputs(config, records)
        except (SemillaError, OSError):  # the phase itself tells what is wrong
            return phase
        record = find_reusable(
            phase, journal.status, inputs=inputs, directory=journal.directory, tell=journal.tell
        )
        if record is None:
            return phase
        records[phase] = record
    return None


def decide_resume(
    config: PipelineConfiguration, journal: Journal, *, resume: bool | None, ask: Callable[[str], bool] | None
) -> PipelineConfiguration:
    """Settle whether training continues from the checkpoints of a run that did not finish."""
    if resume is None and config.resume_from_checkpoint:
        resume = True
    unfinished = [
        one for one in journal.directory.glob(names.CHECKPOINT_PATTERN) if names.is_checkpoint(one.name)
    ]
    if resume is None and unfinished and "model_training" not in journal.status.phase_records:
        if ask is None:
            raise InvalidConfigError(
                f"{journal.directory} holds {len(unfinished)} checkpoints of a training that did not finish: "
                "say --resume to continue it or --no-resume to start over",
                next_command=to_command(config, resume_from_checkpoint=True),
                kept="every checkpoint",
            )
        resume = ask(f"{journal.directory} holds a training that did not finish. Continue it?")
    return config.model_copy(update={"resume_from_checkpoint": bool(resume)})


def write_configuration(config: PipelineConfiguration, journal: Journal) -> None:
    """Leave the resolved configuration, before anything runs."""
    path = journal.directory / names.CONFIGURATION
    write_text(path, to_toml(config))
    journal.status.configuration_sha256 = hash_file(path)
    journal.tell(ArtifactWritten(path))


def finish_run(config: PipelineConfiguration, journal: Journal) -> None:
    """Leave the page about the run, then say in the status that the run is complete."""
    ended = journal.status.model_copy(deep=True)
    ended.finish()
    write_report(config, ended, journal)
    journal.finish()


def write_report(config: PipelineConfiguration, status: PipelineStatus, journal: Journal) -> None:
    """Write what ``status`` and the run's files tell as one page, ``report.html``."""
    from semilla.report.page import render_run  # noqa: PLC0415 - jinja2, needed at the end only
    from semilla.report.runs import read_run  # noqa: PLC0415

    path = journal.directory / names.REPORT
    run = read_run(journal.directory, config=config, status=status)
    if status.run_state == "complete" or run.epochs:
        write_text(path, render_run(run))
        journal.tell(ArtifactWritten(path))


@contextmanager
def open_run(config: PipelineConfiguration, *, listeners: Iterable[Progress]) -> Iterator[Journal]:
    """Hold the directory's lock, log and signals; whatever goes wrong inside becomes a recorded SemillaError."""
    directory = Path(config.output_directory)
    with ExitStack() as stack:
        with _blame_first_phase(directory):
            create_with_parents(directory)
            refuse_foreign_files(directory)
            stack.enter_context(hold_lock(directory))
            for folder in (directory, directory / names.DOWNLOADS, directory / names.BUNDLE):
                collect_garbage(folder)
            collect_folders(directory / names.MODELS)
        tail = stack.enter_context(record_log(directory))
        stack.enter_context(interrupts.granted())
        pulse = stack.enter_context(open_pulse(directory))
        journal = Journal(directory, tail=tail, listeners=(pulse, *listeners))
        journal.listeners += stack.enter_context(open_tracker(config, tell=journal.tell))
        try:
            yield journal
        except Exception as error:
            failure = translate_error(error)
            journal.record_failure(failure, error)
            if journal.started:
                with suppress(Exception):  # whatever ended the run must not be hidden by the page about it
                    write_report(config, journal.status, journal)
            if failure is error:
                raise
            raise failure from error


def translate_error(error: Exception) -> SemillaError:
    """Give any exception its place in the error tree."""
    if isinstance(error, SemillaError):
        return error
    if is_out_of_memory(error):
        return OutOfMemoryError(f"memory ran out{f': {error}' if str(error) else ''}")
    if isinstance(error, OSError):
        return from_os_error(error, error.filename or "a file")
    return InternalError(f"{type(error).__name__}: {error}")


@contextmanager
def _blame_first_phase(directory: Path) -> Iterator[None]:
    """Errors of a directory that cannot even be opened belong to the check of prerequisites."""
    try:
        yield
    except (SemillaError, OSError) as error:
        failure = from_os_error(error, directory) if isinstance(error, OSError) else error
        failure.phase = PHASES[0]
        raise failure from None


def _verify(record: PhaseRecord, directory: Path) -> None:
    for artifact in record.artifacts:
        verify_artifact(artifact, root=directory)


def _refuse_stale(
    phase: Phase, recorded: Mapping[str, Any], inputs: Mapping[str, Any], config: PipelineConfiguration
) -> None:
    """Sound artifacts of other inputs are not what was asked for; one that was adopted has none on record."""
    changed = [name for name, value in inputs.items() if recorded.get(name, value) != value]
    if changed:
        raise IntegrityError(
            f"{phase} cannot be skipped: since it was done, {' and '.join(changed)} became another",
            next_command=to_command(config, skip_phases=sorted(config.skip_phases - {phase})),
        )


def load_phase(phase: Phase) -> ModuleType:
    return importlib.import_module(f"semilla.pipeline.phases.{phase}")
