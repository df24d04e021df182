"""Decide whether a phase's recorded result can stand in for running the phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import recall_settings, to_command
from semilla.errors import PHASES, IntegrityError, Phase, SemillaError
from semilla.events import Note, Progress, silent
from semilla.pipeline.journal import Journal, restore_record
from semilla.pipeline.phases import PhaseRecord, load_phase
from semilla.records.files import is_intact, verify_artifact
from semilla.records.status import PipelineStatus


def find_reusable(
    phase: Phase, status: PipelineStatus, *, inputs: dict[str, Any], directory: Path, tell: Progress = silent
) -> PhaseRecord | None:
    """Return the recorded result if it came from the same inputs and its artifacts are intact."""
    recorded = status.phase_records.get(phase)
    if phase == "prerequisite_check" or recorded is None:
        return None
    if recall_settings(recorded.inputs, inputs) != inputs:
        return None
    damaged = [one.path for one in recorded.artifacts if not is_intact(one, root=directory)]
    if damaged:
        tell(Note(f"Missing or changed: {', '.join(damaged)}. {phase} runs again."))
        return None
    return restore_record(status, phase)


def find_stale_phase(config: PipelineConfiguration, journal: Journal) -> Phase | None:
    """Return the first phase that has to run again, or None when every result can be reused."""
    records: dict[str, PhaseRecord] = {}
    for phase in PHASES[1:]:
        recorded = journal.status.phase_records.get(phase)
        if recorded is None:
            return phase
        try:
            is_skipped = phase in config.skip_phases
            inputs = recorded.inputs if is_skipped else load_phase(phase).read_inputs(config, records)
        except (SemillaError, OSError):  # the phase will report the problem when it runs
            return phase
        record = find_reusable(
            phase, journal.status, inputs=inputs, directory=journal.directory, tell=journal.tell
        )
        if record is None:
            return phase
        records[phase] = record
    return None


def take_skipped(
    phase: Phase, config: PipelineConfiguration, journal: Journal
) -> tuple[PhaseRecord, dict[str, Any]]:
    """Return the existing result of a phase the user skips, and the inputs on record for it.

    Raises IntegrityError when there is none, it is damaged, or it was made from different inputs.
    """
    module = load_phase(phase)
    recorded = journal.status.phase_records.get(phase)
    record = restore_record(journal.status, phase) if recorded else module.adopt(config)
    verify_record(record, journal.directory)
    if recorded is None:
        return record, {}
    if phase != "corpus_download":  # users skip the download because the source may be gone
        inputs = module.read_inputs(config, journal.list_records())
        changed = [name for name, value in inputs.items() if recorded.inputs.get(name, value) != value]
        if changed:
            raise IntegrityError(
                f"{phase} cannot be skipped: {' and '.join(changed)} changed since it ran",
                next_command=to_command(config, skip_phases=sorted(config.skip_phases - {phase})),
            )
    return record, recorded.inputs


def verify_record(record: PhaseRecord, directory: Path) -> None:
    """Raise IntegrityError unless every artifact of a result is intact."""
    for artifact in record.artifacts:
        verify_artifact(artifact, root=directory)
