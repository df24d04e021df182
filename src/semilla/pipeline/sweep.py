"""A few runs over lists of values, one after the other, each in a directory that its values name.

A run is what it would be alone: the same configuration ends in the same bits. So a sweep that was stopped anywhere goes
on when it is started again, longer lists only add runs, and what is finished stays.
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
from semilla.errors import InvalidConfigError, SemillaError
from semilla.events import Progress
from semilla.pipeline.main_job import find_reusable, load_phase, run_pipeline
from semilla.pipeline.phases import PhaseRecord
from semilla.prerequisites.storage import create_with_parents
from semilla.records import names
from semilla.records.files import copy_file
from semilla.records.lock import hold_lock
from semilla.records.status import Phase, PhaseEntry, PipelineStatus, read_status, write_status

LENT_PHASES: tuple[Phase, ...] = ("corpus_download", "tokenizer_training")
FINDINGS = {"validation_failure", "diverged", "oom"}
"""Failures that say something about the values; any other would meet the next run as well."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep: the values that are its own, and all its settings."""

    values: Mapping[str, Any]
    config: PipelineConfiguration

    @property
    def directory(self) -> Path:
        return Path(self.config.output_directory)


@dataclass(frozen=True)
class Outcome:
    """How a trial ended; ``error`` is None where it is complete."""

    trial: Trial
    error: SemillaError | None


def is_listable(name: str) -> bool:
    """Tell whether a comma divides values of this setting: in numbers and words to choose from, not in text."""
    setting = list_settings()[name]
    return setting.kind in {"integer", "number"} or (setting.kind == "string" and bool(setting.choices))


def combine(lists: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Every combination of the lists' values, the last list's changing fastest."""
    for values in itertools.product(*lists.values()):
        yield dict(zip(lists, values, strict=True))


def plan_trials(
    lists: Mapping[str, Sequence[str]], *, root: Path, configure: Callable[..., PipelineConfiguration]
) -> list[Trial]:
    """Make the trials, all of them valid, before the first begins; a value that is given twice is tried once.

    ``configure`` makes a configuration of settings by their names, as text, and raises InvalidConfigError.
    """
    if not any(len(values) > 1 for values in lists.values()):
        raise InvalidConfigError(
            "nothing varies: give a setting several values, as in --seed 1,2,3",
            next_command="semilla sweep --help",
        )
    trials: dict[str, Trial] = {}
    for texts in combine(lists):
        flat = configure(**texts).flatten()
        values = {name: flat[name] for name in lists}
        place = root / name_trial(values)
        trials[place.name] = Trial(values, configure(**texts, output_directory=str(place)))
    return list(trials.values())


def name_trial(values: Mapping[str, Any]) -> str:
    """The directory of a trial: ``num-layers-2_learning-rate-0.0003``."""
    return "_".join(f"{name.replace('_', '-')}-{value}" for name, value in values.items())


def run_trials(
    trials: Iterable[Trial],
    *,
    resume: bool | None = None,
    show: Callable[[Trial], AbstractContextManager[Progress]],
) -> Iterator[Outcome]:
    """Run one trial after the other and tell how each ended; ``show`` opens what listens to it.

    A failure that is no finding about the trial's values is raised.
    """
    finished: list[Trial] = []
    for trial in trials:
        error = None
        for lender in finished[:1]:
            borrow_phases(trial.config, lender=lender.directory)
        try:
            with show(trial) as progress:
                run_pipeline(trial.config, resume=choose_resume(trial, resume), listeners=[progress])
        except SemillaError as failure:
            if failure.category not in FINDINGS:
                raise
            error = failure
        finished.append(trial)
        yield Outcome(trial, error)


def choose_resume(trial: Trial, resume: bool | None) -> bool:
    """Go on from a trial's checkpoints unless it is finished, or the user said something else."""
    if resume is not None:
        return resume
    status = read_status(trial.directory)
    is_finished = status is not None and "model_training" in status.phase_records
    return not is_finished and any(trial.directory.glob(names.CHECKPOINT_PATTERN))


def borrow_phases(config: PipelineConfiguration, *, lender: Path) -> None:
    """Begin a directory with the text and the tokenizer of another run, as far as they would become the same.

    The run itself verifies them, by the inputs and the hashes that are recorded with them.
    """
    directory, status = Path(config.output_directory), read_status(lender)
    if status is None or (directory / names.STATUS).exists():
        return
    entries = list_lendable(config, status, lender=lender)
    artifacts = [artifact for entry in entries.values() for artifact in entry.list_artifacts()]
    if not artifacts:
        return
    create_with_parents(directory)
    with hold_lock(directory):
        # The status first: whatever is copied after it is known for ours.
        created = [artifact.path for artifact in artifacts]
        write_status(
            directory,
            PipelineStatus(
                run_state="interrupted", attempt=0, phase_records=dict(entries), artifacts_created=created
            ),
        )
        for artifact in artifacts:
            copy_file(lender / artifact.path, directory / artifact.path)


def list_lendable(
    config: PipelineConfiguration, status: PipelineStatus, *, lender: Path
) -> dict[Phase, PhaseEntry]:
    """What another run recorded of the first phases whose inputs are those of ``config``, and still has."""
    entries: dict[Phase, PhaseEntry] = {}
    records: dict[str, PhaseRecord] = {}
    for phase in LENT_PHASES:
        inputs = load_phase(phase).read_inputs(config, records)
        record = find_reusable(phase, status, inputs=inputs, directory=lender)
        if record is None:
            break
        entries[phase], records[phase] = status.phase_records[phase], record
    return entries
