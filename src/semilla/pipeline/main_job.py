"""The main job: run each phase, or reuse its result if its inputs are unchanged, and record the outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import recall_settings, to_command
from semilla.corpus.sources import resolve_sources
from semilla.errors import (
    PHASES,
    IncompatibleError,
    InvalidConfigError,
    Phase,
    SemillaError,
    refuse_lost_directory,
    translate_error,
)
from semilla.events import ArtifactWritten, Note, Progress
from semilla.pipeline.dial import recall_plan, take_plan
from semilla.pipeline.finish import finish_run, remove_page, write_report
from semilla.pipeline.journal import Journal, list_checkpoints, restore_record
from semilla.pipeline.kept_models import drop_duplicate, keep_finished_model
from semilla.pipeline.large_text import encode_large_text, is_large
from semilla.pipeline.phases import load_meanwhile, load_phase
from semilla.pipeline.phases.prerequisite_check import raise_failed
from semilla.pipeline.reuse import find_reusable, find_stale_phase, take_skipped, verify_record
from semilla.pipeline.start_model import adopt_start
from semilla.pipeline.trackers import open_tracker
from semilla.prerequisites.source import check_source, refuse_own_output
from semilla.prerequisites.storage import refuse_foreign_files
from semilla.records import names
from semilla.records.files import collect_garbage, is_intact
from semilla.records.folders import collect_folders, make_directories
from semilla.records.heartbeat import open_heartbeat
from semilla.records.links import refuse_links
from semilla.records.lock import hold_lock
from semilla.records.log import record_log
from semilla.records.nearby import find_run_nearby
from semilla.records.run_configuration import read_run_configuration, write_run_configuration
from semilla.records.status import PipelineStatus
from semilla.system import interrupts


def run_pipeline(
    config: PipelineConfiguration,
    *,
    resume: bool | None = None,
    ask: Callable[[str], bool] | None = None,
    listeners: Iterable[Progress] = (),
) -> PipelineStatus:
    """Run all phases in ``config.output_directory``. A finished run with unchanged inputs is left untouched.

    ``resume`` is None when the user made no choice. Then ``ask`` is asked; without it an open choice is an error.
    Raises SemillaError with its ``phase`` set, after the status file has recorded it.
    """
    with _blame_first_phase(Path(config.output_directory)):
        config = adopt_start(config)
        refuse_own_output(config)
    began_s = time.monotonic()
    with open_run(config, listeners=listeners) as journal:
        config = recall_plan(config, journal.status.plan)
        stale = find_stale_phase(config, journal) if journal.status.is_trained else None
        if journal.was_complete and stale is None:
            journal.tell(Note("Nothing to do: this run is finished and its inputs have not changed."))
            return journal.status
        if journal.status.is_trained:
            refuse_missing_source(config)
        if resume is None and stale == "model_training" and adds_epochs(config, journal.status):
            resume = True
        config = decide_resume(config, journal, resume=resume, ask=ask)
        if told := find_end(config, journal, stale=stale):
            journal.tell(Note(f"{told[0].upper()}{told[1:]}. Nothing was changed."))
            return journal.status
        if stale and stale != "validation":
            with _blame_first_phase(journal.directory):
                keep_finished_model(journal, keep=config.keep_models)
        journal.start_attempt()
        record_configuration(config, journal)
        for phase in PHASES:
            run_phase(phase, config, journal)
            if phase == "corpus_download" and config.minutes:
                config = take_plan(config, journal, used_s=time.monotonic() - began_s)
                record_configuration(config, journal)
        finish_run(config, journal)
        drop_duplicate(journal)
        return journal.status


def record_configuration(config: PipelineConfiguration, journal: Journal) -> None:
    """Write the configuration that the next phases will run with."""
    journal.status.configuration_sha256 = write_run_configuration(journal.directory, config)
    journal.tell(ArtifactWritten(journal.directory / names.CONFIGURATION))


def run_validation(
    directory: Path, *, overrides: Mapping[str, Any] | None = None, listeners: Iterable[Progress] = ()
) -> PipelineStatus:
    """Validate a trained model again; ``overrides`` replace top-level settings such as ``strict``."""
    config = read_run_configuration(directory).model_copy(update=dict(overrides or {}))
    with open_run(config, listeners=listeners) as journal:
        missing = [phase for phase in PHASES[1:4] if phase not in journal.status.phase_records]
        if missing:
            raise IncompatibleError(
                f"{directory} holds no finished training: {missing[0]} is not done",
                next_command=to_command(config, resume_from_checkpoint=True),
            )
        timings: dict[str, float] = {
            phase: journal.status.phase_timings.get(phase, 0.0) for phase in PHASES[:4]
        }
        journal.start_attempt()
        for phase in PHASES[:4]:
            journal.enter(phase)
            record = restore_record(journal.status, phase)
            verify_record(record, journal.directory)
            inputs = journal.status.phase_records[phase].inputs
            journal.complete(phase, record, inputs=inputs, outcome="reused")
        journal.status.phase_timings |= (
            timings  # of the attempt that trained; verifying is no part of a phase
        )
        journal.forget("validation")
        run_phase("validation", config, journal)
        finish_run(config, journal)
        return journal.status


def refuse_missing_source(config: PipelineConfiguration) -> None:
    """Raise the prerequisite check's error for a missing text before a finished run is changed in any way."""
    if any(source.is_local for source in resolve_sources(config.corpus_source)):
        raise_failed([check_source(config)])


def run_phase(phase: Phase, config: PipelineConfiguration, journal: Journal) -> None:
    """Skip, reuse or run one phase, and record which."""
    interrupts.check()
    journal.enter(phase)
    refuse_lost_directory()
    if phase in config.skip_phases:
        record, inputs = take_skipped(phase, config, journal)
        journal.complete(phase, record, inputs=inputs, outcome="skipped")
        return
    if phase == "model_training":
        encode_large_text(config, progress=journal.tell)
    module = load_phase(phase)
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
    if phase == "validation":
        remove_page(journal)
    # The tokenizer learns in a child process, and importing torch takes seconds; a large text is encoded before.
    loads_next = phase == "tokenizer_training" and not is_large(journal.directory)
    with load_meanwhile("model_training") if loads_next else nullcontext():
        record = module.run(config, progress=journal.tell)
    journal.complete(phase, record, inputs=inputs, outcome="done")


def decide_resume(
    config: PipelineConfiguration, journal: Journal, *, resume: bool | None, ask: Callable[[str], bool] | None
) -> PipelineConfiguration:
    """Decide whether training continues from existing checkpoints; the result is in ``resume_from_checkpoint``."""
    if resume is None and config.resume_from_checkpoint:
        resume = True
    checkpoints = list_checkpoints(journal.directory)
    if resume is None and checkpoints and not journal.status.is_trained:
        if ask is None:
            raise InvalidConfigError(
                f"{journal.directory} holds {len(checkpoints)} checkpoints of an unfinished training: "
                "use --resume to continue it or --no-resume to start over",
                next_command=to_command(config, resume_from_checkpoint=True),
                kept="every checkpoint",
            )
        resume = ask(f"{journal.directory} holds an unfinished training. Continue it?")
    if resume and journal.previous is None and not checkpoints:
        meant = find_run_nearby(journal.directory)
        hint = f"; did you mean {meant}?" if meant else "."
        journal.tell(Note(f"{journal.directory} holds nothing to resume; a new run starts{hint}"))
    return config.model_copy(update={"resume_from_checkpoint": bool(resume)})


def adds_epochs(config: PipelineConfiguration, status: PipelineStatus) -> bool:
    """Whether ``config`` only asks for more epochs than a finished training had: it goes on where it ended."""
    wanted = config.training_hyperparameters.model_dump(exclude={"num_threads"}) | {"seed": config.seed}
    wanted |= config.model_architecture.model_dump()
    recorded = recall_settings(status.phase_records["model_training"].inputs, wanted)
    changed = [name for name, value in wanted.items() if recorded[name] != value]
    return changed == ["num_epochs"] and recorded["num_epochs"] < wanted["num_epochs"]


def find_end(config: PipelineConfiguration, journal: Journal, *, stale: Phase | None) -> str | None:
    """Say why continuing would train nothing; None when the run has something to do. ``stale`` is of a trained run."""
    if not config.resume_from_checkpoint or not list_checkpoints(journal.directory):
        return None
    if "model_training" in config.skip_phases:
        return None
    if (stale or find_stale_phase(config, journal)) != "model_training":
        return None
    trained = journal.status.phase_records.get("model_training")
    is_whole = trained is not None and all(
        is_intact(one, root=journal.directory) for one in trained.artifacts
    )
    try:
        told: str | None = load_phase("model_training").find_end(config, is_trained=is_whole)
    except ImportError:  # the first phase says which package is missing
        return None
    return told


@contextmanager
def open_run(config: PipelineConfiguration, *, listeners: Iterable[Progress]) -> Iterator[Journal]:
    """Hold the directory's lock, open its log and catch signals; any exception becomes a recorded SemillaError."""
    directory = Path(config.output_directory)
    with ExitStack() as stack:
        with _blame_first_phase(directory):
            make_directories(directory)
            refuse_links(directory)
            refuse_foreign_files(directory, corpus_source=config.corpus_source)
            stack.enter_context(hold_lock(directory))
            # The directory itself may be given as a link, its folders may not.
            for folder in (directory.resolve(), directory / names.DOWNLOADS, directory / names.BUNDLE):
                collect_garbage(folder)
            collect_folders(directory / names.MODELS)
            heartbeat = stack.enter_context(open_heartbeat(directory))
        tail = stack.enter_context(record_log(directory))
        stack.enter_context(interrupts.catch_signals())
        journal = Journal(directory, tail=tail, listeners=(heartbeat, *listeners))
        journal.listeners += stack.enter_context(open_tracker(config, tell=journal.tell))
        try:
            yield journal
        except Exception as error:
            failure = translate_error(error)
            journal.record_failure(failure, error)
            if journal.started:
                with suppress(Exception):  # a failing report must not hide what ended the run
                    write_report(config, journal.status, journal)
            if failure is error:
                raise
            raise failure from error


@contextmanager
def _blame_first_phase(directory: Path) -> Iterator[None]:
    """Assign errors with the output directory itself to the prerequisite check."""
    try:
        yield
    except (SemillaError, OSError) as error:
        failure = translate_error(error, path=str(directory))
        failure.phase = PHASES[0]
        raise failure from None
