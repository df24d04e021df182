"""Phase 1: find out what would stop the run, before anything is downloaded. Always run, never reused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_manifest
from semilla.corpus.sources import resolve_source
from semilla.errors import SemillaError
from semilla.events import Progress, Warned
from semilla.pipeline.phases import PhaseRecord
from semilla.prerequisites.advice import check_corpus_size, check_learning_rate, check_shape
from semilla.prerequisites.check import Check
from semilla.prerequisites.duration import check_duration
from semilla.prerequisites.memory import check_memory
from semilla.prerequisites.packages import PackageProbe, check_python
from semilla.prerequisites.source import check_source
from semilla.prerequisites.storage import check_directory, check_disk
from semilla.system import interrupts

__all__ = ["Check", "check_all", "has_corpus", "raise_failed", "read_inputs", "run"]

WARNING_TOPICS = {"corpus_source": "network"}
"""Topic of the guide where it is not simply the check's name."""


def read_inputs(config: PipelineConfiguration, records: Mapping[str, PhaseRecord]) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: a machine changes without telling, so this phase is never reused."""
    return {}


def run(config: PipelineConfiguration, *, progress: Progress) -> PhaseRecord:
    """Make every check; raises the error of the first that failed, with the other failures in its message.

    What the machine and the settings alone decide is told without waiting for the packages.
    """
    with probe_packages(config) as probe:
        checks = check_machine(config, reuses_corpus=has_corpus(config))
        raise_failed(checks)
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


def check_all(config: PipelineConfiguration, *, reuses_corpus: bool = False) -> list[Check]:
    """Make every check, also when some fail; takes a few seconds, most of them for importing torch elsewhere."""
    with probe_packages(config) as probe:
        python, *others = check_machine(config, reuses_corpus=reuses_corpus)
        checks = [python, *probe.list_checks(), *others]
    if all(check.ok for check in checks if check.required):
        checks.append(check_duration(config))
    return checks


@contextmanager
def probe_packages(config: PipelineConfiguration) -> Iterator[PackageProbe]:
    """Look at the packages beside everything else; however the checks end, the child ends too."""
    probe = PackageProbe(config)
    try:
        yield probe
    finally:
        probe.stop()


def check_machine(config: PipelineConfiguration, *, reuses_corpus: bool) -> list[Check]:
    """Make the checks that take no time."""
    return [
        check_python(),
        check_directory(config),
        check_disk(config),
        check_memory(config),
        check_source(config, reuses_corpus=reuses_corpus),
        check_shape(config),
        check_corpus_size(config),
        check_learning_rate(config),
    ]


def raise_failed(checks: list[Check]) -> None:
    """Raise the error of the first failed check; the others are told in its message."""
    errors = [check.error for check in checks if check.required and check.error]
    if not errors:
        return
    first = errors[0]
    first.phase = "prerequisite_check"
    first.message = "\n".join([first.message, *(f"also {error.category}: {error}" for error in errors[1:])])
    first.args = (first.message,)
    raise first


def has_corpus(config: PipelineConfiguration) -> bool:
    """Tell whether a corpus of this source is already there, so that nothing will be fetched."""
    try:
        return (
            read_manifest(Path(config.output_directory)).source == resolve_source(config.corpus_source).shown
        )
    except (SemillaError, OSError):
        return False
