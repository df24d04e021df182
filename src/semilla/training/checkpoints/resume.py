"""Where a training goes on from, and whether its end will be that of a training never interrupted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.errors import IntegrityError
from semilla.events import Note, Progress, Warned
from semilla.training.checkpoints.checkpoint import Checkpoint, Damaged, Provenance, check_compatibility
from semilla.training.environment import Environment


@dataclass(frozen=True)
class Resumption:
    """The checkpoint to go on from, None for the first step, and what else was found in the directory."""

    start: Checkpoint | None
    found: list[Checkpoint]
    damaged: list[Damaged]

    @property
    def next_lineage(self) -> int:
        """Number of a training that starts from scratch now."""
        return max((checkpoint.provenance.lineage for checkpoint in self.found), default=0) + 1

    def list_replaced(self, lineage: int, *, ours: Collection[str]) -> list[Path]:
        """What a first new checkpoint of ``lineage`` makes worthless: other lineages, and what is damaged.

        A damaged file that is not among ``ours`` may be anybody's.
        """
        others = [one.path for one in self.found if one.provenance.lineage != lineage]
        return others + [one.path for one in self.damaged if one.path.name in ours]


def choose_start(
    config: PipelineConfiguration, found: list[Checkpoint], damaged: list[Damaged], *, progress: Progress
) -> Resumption:
    """Take the newest checkpoint that verifies; raises IntegrityError when there were some and none does."""
    for one in damaged:
        progress(Warned(str(one), "integrity"))
    if not config.resume_from_checkpoint:
        return Resumption(None, found, damaged)
    if found:
        return Resumption(_find_start(config, found, progress=progress), found, damaged)
    if damaged:
        raise IntegrityError(
            "no checkpoint can be read; say --no-resume to start over",
            next_command=f"{to_command(config, resume_from_checkpoint=False)} --no-resume",
        )
    progress(Note("Nothing to resume from: the training starts at the first step."))
    return Resumption(None, found, damaged)


def continue_from(
    start: Checkpoint,
    fresh: Provenance,
    *,
    config: PipelineConfiguration,
    environment: Environment,
    progress: Progress,
) -> Provenance:
    """Say how the training goes on, and return what its checkpoints will belong to.

    Raises IncompatibleError when the checkpoint does not fit. What keeps the end from being, bit for bit, that of a
    training never interrupted is told before the first step and remembered in every later checkpoint.
    """
    check_compatibility(start, config=config, provenance=fresh)
    content, before = start.content, start.provenance
    progress(
        Note(f"Continuing from {start.path.name}: {content['epoch']} epochs, {content['step']} steps done.")
    )
    changes = find_changes(start, config=config, environment=environment)
    if changes:
        told = f"the result need not be that of an uninterrupted run, bit for bit: {', '.join(changes)}"
        progress(Warned(told, "resume"))
        return replace(fresh, departures=[*before.departures, *changes])
    return replace(before, model_version=fresh.model_version)


def find_changes(start: Checkpoint, *, config: PipelineConfiguration, environment: Environment) -> list[str]:
    """What of the settings and the machine differs from the checkpoint's, as ``name old -> new``."""
    before = start.settings
    after = {**config.training_hyperparameters.model_dump(mode="json"), "seed": config.seed}
    settings = [
        f"{name} {before[name]} -> {value}"
        for name, value in after.items()
        if name != "num_threads" and before[name] != value
    ]
    return settings + environment.describe_changes(start.provenance.environment)


def _find_start(
    config: PipelineConfiguration, found: list[Checkpoint], *, progress: Progress
) -> Checkpoint | None:
    newest = found[0]
    if newest.is_epoch_end or _cuts_batches_alike(newest, config):
        return newest
    boundary = next((checkpoint for checkpoint in found if checkpoint.is_epoch_end), None)
    where = f"the end of epoch {boundary.content['epoch']}" if boundary else "the first step"
    progress(
        Note(
            "Batch size, sequence length, language balance or seed changed inside an epoch: "
            f"training goes on from {where}."
        )
    )
    return boundary


def _cuts_batches_alike(checkpoint: Checkpoint, config: PipelineConfiguration) -> bool:
    before, after = checkpoint.settings, config.flatten()
    plan = ("batch_size", "max_sequence_length", "language_balance", "seed")
    return [before[name] for name in plan] == [after[name] for name in plan]
