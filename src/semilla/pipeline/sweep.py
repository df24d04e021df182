"""Run every combination of lists of values, one after the other, each in a directory named after its values.

Each run is the same as on its own: the same configuration gives the same bits. So a stopped sweep continues when it is
started again, longer lists only add runs, and finished runs stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings
from semilla.errors import InvalidConfigError, Phase, SemillaError
from semilla.events import Progress
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import PhaseRecord, load_phase
from semilla.pipeline.reuse import find_reusable
from semilla.records import names
from semilla.records.files import copy_file
from semilla.records.folders import make_directories
from semilla.records.links import refuse_links
from semilla.records.lock import hold_lock
from semilla.records.status import PhaseEntry, PipelineStatus, read_status, write_status

SHARED_PHASES: tuple[Phase, ...] = ("corpus_download", "tokenizer_training")
RESULTS = {"validation_failure", "diverged", "oom"}
"""Failures caused by the values, which are results of the sweep. Any other failure would hit the next run as well."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: the values that vary, and its whole configuration."""

    values: Mapping[str, Any]
    config: PipelineConfiguration

    @property
    def directory(self) -> Path:
        return Path(self.config.output_directory)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended; ``error`` is None when it is complete."""

    trial: Trial
    error: SemillaError | None


def is_listable(name: str) -> bool:
    """Return whether a comma separates values of this setting: in numbers and choices, but not in text."""
    setting = list_settings()[name]
    return setting.kind in {"integer", "number"} or (setting.kind == "string" and bool(setting.choices))


def plan_trials(
    lists: Mapping[str, Sequence[str]], *, root: Path, configure: Callable[..., PipelineConfiguration]
) -> list[Trial]:
    """Plan and validate all trials before the first begins. The last list varies fastest; repeated values run once.

    ``configure`` makes a configuration from settings given as text, and raises InvalidConfigError.
    """
    if not any(len(values) > 1 for values in lists.values()):
        raise InvalidConfigError(
            "nothing to vary: give a setting several values, as in --seed 1,2,3",
            next_command="semilla sweep --help",
        )
    trials: dict[str, Trial] = {}
    for combination in itertools.product(*lists.values()):
        texts = dict(zip(lists, combination, strict=True))
        flat = configure(**texts).flatten()
        values = {name: flat[name] for name in lists}
        place = root / name_trial(values)
        trials[place.name] = Trial(values, configure(**texts, output_directory=str(place)))
    return list(trials.values())


def name_trial(values: Mapping[str, Any]) -> str:
    """Name a trial's directory: ``num-layers-2_learning-rate-0.0003``."""
    return "_".join(f"{name.replace('_', '-')}-{value}" for name, value in values.items())


def run_trials(
    trials: Iterable[Trial],
    *,
    resume: bool | None = None,
    show: Callable[[Trial], AbstractContextManager[Progress]],
) -> Iterator[Outcome]:
    """Run the trials one after the other and yield how each ended; ``show`` opens a trial's listener.

    A failure that the trial's values did not cause is raised.
    """
    first: Trial | None = None
    for trial in trials:
        error = None
        if first:
            copy_phases(trial.config, source=first.directory)
        try:
            with show(trial) as progress:
                run_pipeline(trial.config, resume=choose_resume(trial, resume), listeners=[progress])
        except SemillaError as failure:
            if failure.category not in RESULTS:
                raise
            error = failure
        first = first or trial
        yield Outcome(trial, error)


def choose_resume(trial: Trial, resume: bool | None) -> bool:
    """Continue from a trial's checkpoints unless its training is finished or the user decided otherwise."""
    if resume is not None:
        return resume
    status = read_status(trial.directory)
    is_trained = status is not None and status.is_trained
    return not is_trained and any(trial.directory.glob(names.CHECKPOINT_PATTERN))


def copy_phases(config: PipelineConfiguration, *, source: Path) -> None:
    """Start a new directory with another run's text and tokenizer, if the same ones would be made again.

    The new run verifies them by the recorded inputs and hashes.
    """
    directory, status = Path(config.output_directory), read_status(source)
    if status is None or (directory / names.STATUS).exists():
        return
    entries = list_shared(config, status, source=source)
    artifacts = [artifact for entry in entries.values() for artifact in entry.artifacts]
    if not artifacts:
        return
    make_directories(directory)
    refuse_links(directory)
    with hold_lock(directory):
        # The status comes first, so that it lists every file copied after it.
        copied = PipelineStatus(
            run_state="interrupted",
            attempt=0,
            phase_records=dict(entries),
            artifacts_created=[artifact.path for artifact in artifacts],
        )
        write_status(directory, copied)
        for artifact in artifacts:
            copy_file(source / artifact.path, directory / artifact.path)


def list_shared(
    config: PipelineConfiguration, status: PipelineStatus, *, source: Path
) -> dict[Phase, PhaseEntry]:
    """List another run's records of the first phases whose results ``config`` can reuse."""
    entries: dict[Phase, PhaseEntry] = {}
    records: dict[str, PhaseRecord] = {}
    for phase in SHARED_PHASES:
        inputs = load_phase(phase).read_inputs(config, records)
        record = find_reusable(phase, status, inputs=inputs, directory=source)
        if record is None:
            break
        entries[phase], records[phase] = status.phase_records[phase], record
    return entries
