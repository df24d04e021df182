"""Phase 1: find what would stop the run before anything is downloaded. It always runs and is never reused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_manifest
from semilla.corpus.sources import resolve_source
from semilla.errors import SemillaError
from semilla.events import Activity, Progress, Warned
from semilla.pipeline.phases import PhaseRecord
from semilla.prerequisites.advice import check_corpus_size, check_learning_rate, check_shape
from semilla.prerequisites.check import Check
from semilla.prerequisites.duration import check_duration
from semilla.prerequisites.memory import check_memory
from semilla.prerequisites.packages import PackageProbe, check_python
from semilla.prerequisites.source import check_source
from semilla.prerequisites.storage import check_directory, check_disk
from semilla.system import interrupts

WARNING_TOPICS = {"corpus_source": "network"}
"""Guide topics that differ from the name of their check."""


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: the machine may change at any time, so this phase is never reused."""
    return {}


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Make every check; raises the error of the first failed one, with the other failures in its message.

    Checks that need no packages fail first, because importing packages takes seconds.
    """
    progress(Activity("checking the machine and the text"))
    with probe_packages(config) as probe:
        checks = check_machine(config)
        raise_failed(checks)
        progress(Activity("importing packages"))
        checks += probe.list_checks()
    interrupts.check()
    raise_failed(checks)
    advised = [check for check in checks if check.advice]
    for check in advised:
        progress(Warned(str(check.advice), WARNING_TOPICS.get(check.name, check.name)))
    return PhaseRecord(
        "prerequisite_check",
        details={check.name: check.found for check in checks},
        warnings=[str(check.advice) for check in advised],
    )


def check_all(config: PipelineConfiguration) -> list[Check]:
    """Make every check even if some fail. Takes a few seconds, mostly to import torch in a child process."""
    with probe_packages(config) as probe:
        python, *others = check_machine(config)
        checks = [python, *probe.list_checks(), *others]
    if all(check.ok for check in checks if check.required):
        checks.append(check_duration(config))
    return checks


@contextmanager
def probe_packages(config: PipelineConfiguration) -> Iterator[PackageProbe]:
    """Check the packages in a child process in the background, and stop it at the end."""
    probe = PackageProbe(config)
    try:
        yield probe
    finally:
        probe.stop()


def check_machine(config: PipelineConfiguration) -> list[Check]:
    """Make the fast checks."""
    return [
        check_python(),
        check_directory(config),
        check_disk(config),
        check_memory(config),
        check_source(config, reuses_corpus=has_corpus(config)),
        check_shape(config),
        check_corpus_size(config),
        check_learning_rate(config),
    ]


def raise_failed(checks: list[Check]) -> None:
    """Raise the error of the first failed check, with the other failures in its message."""
    errors = [check.error for check in checks if check.required and check.error]
    if not errors:
        return
    first = errors[0]
    first.phase = "prerequisite_check"
    first.message = "\n".join([first.message, *(f"also {error.category}: {error}" for error in errors[1:])])
    first.args = (first.message,)
    raise first


def has_corpus(config: PipelineConfiguration) -> bool:
    """Return whether a corpus from this source exists already, so that nothing will be downloaded."""
    try:
        return (
            read_manifest(Path(config.output_directory)).source == resolve_source(config.corpus_source).shown
        )
    except (SemillaError, OSError):
        return False
