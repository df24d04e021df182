"""Where a training continues from, and whether its result will equal that of an uninterrupted training."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.errors import IncompatibleError, IntegrityError
from semilla.events import Note, Progress, Warned
from semilla.training.checkpoints.checkpoint import Checkpoint, Damaged, Provenance, check_compatibility
from semilla.training.early_stopping import describe_cool_down, find_last_epoch


@dataclass(frozen=True)
class Resumption:
    """The checkpoint to continue from (None for the first step), and all checkpoints in the directory."""

    start: Checkpoint | None
    found: list[Checkpoint]
    damaged: list[Damaged]

    @property
    def next_lineage(self) -> int:
        """The lineage of a training that starts from scratch now."""
        return max((checkpoint.provenance.lineage for checkpoint in self.found), default=0) + 1

    def list_replaced(self, lineage: int, *, ours: Collection[str]) -> list[Path]:
        """Checkpoints to remove after the first new one of ``lineage``: other lineages, and damaged ones.

        Damaged files that are not among ``ours``, folders and links stay: they may belong to the user.
        """
        others = [one.path for one in self.found if one.provenance.lineage != lineage]
        damaged = [one.path for one in self.damaged if one.path.name in ours]
        return others + [path for path in damaged if path.is_file() and not path.is_symlink()]


def choose_start(
    config: PipelineConfiguration, found: list[Checkpoint], damaged: list[Damaged], *, progress: Progress
) -> Resumption:
    """Choose the newest checkpoint that verifies. Raises IntegrityError when there are files but none verifies."""
    for one in damaged:
        progress(Warned(str(one), "integrity"))
    if not config.resume_from_checkpoint:
        return Resumption(None, found, damaged)
    if found:
        return Resumption(_find_start(config, found, progress=progress), found, damaged)
    if any(one.path.is_file() for one in damaged):
        raise IntegrityError(
            "no checkpoint can be read; start over with --no-resume",
            next_command=f"{to_command(config, resume_from_checkpoint=False)} --no-resume",
        )
    progress(Note("Nothing to resume from: the training starts at the first step."))
    return Resumption(None, found, damaged)


def find_surplus(start: Checkpoint, config: PipelineConfiguration) -> str | None:
    """Say how a checkpoint is further than ``config`` asks for; None when it is not."""
    epochs, settings = start.content["epoch"], config.training_hyperparameters
    wanted = find_last_epoch(start.validation_losses, settings)
    if epochs < wanted or (epochs == wanted and start.is_epoch_end):
        return None
    done = f"{epochs} epochs" if start.is_epoch_end else f"{epochs} epochs and a part of the next"
    if stopped := describe_cool_down(start.validation_losses, settings):
        return (
            f"already trained further: {start.path.name} has {done}, and {stopped}. Continue "
            "with another --early-stopping (0: none), or start over with --no-resume"
        )
    return (
        f"already trained further: {start.path.name} has {done}, and --num-epochs is {wanted}. Continue with "
        "more epochs, or start over with --no-resume"
    )


def continue_from(
    start: Checkpoint, fresh: Provenance, *, config: PipelineConfiguration, progress: Progress
) -> Provenance:
    """Report how the training continues, and return the provenance of its checkpoints.

    ``fresh`` is the provenance that a new training would have now. Raises IncompatibleError when the checkpoint does
    not fit. Changes that may alter the bits of the result are reported before the first step, and every later
    checkpoint records them.
    """
    check_compatibility(start, config=config, provenance=fresh)
    if surplus := find_surplus(start, config):
        raise IncompatibleError(surplus)
    content, before = start.content, start.provenance
    progress(
        Note(f"Continuing from {start.path.name}: {content['epoch']} epochs, {content['step']} steps done.")
    )
    changes = find_changes(start, config=config, environment=fresh.environment)
    if changes:
        told = f"the result may differ in its bits from an uninterrupted run: {', '.join(changes)}"
        progress(Warned(told, "resume"))
        return replace(fresh, departures=[*before.departures, *changes])
    return replace(before, model_version=fresh.model_version)


def find_changes(
    start: Checkpoint, *, config: PipelineConfiguration, environment: Mapping[str, Any]
) -> list[str]:
    """The differences of settings and environment from the checkpoint's, as ``name old -> new``."""
    settings = config.training_hyperparameters.model_dump(mode="json", exclude={"num_threads"})
    before = {"num_ranks": 1, **start.provenance.environment}
    pairs = [
        *((name, start.settings[name], new) for name, new in {**settings, "seed": config.seed}.items()),
        *((name, before.get(name), new) for name, new in environment.items()),
    ]
    return [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]


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
            f"training continues from {where}."
        )
    )
    return boundary


def _cuts_batches_alike(checkpoint: Checkpoint, config: PipelineConfiguration) -> bool:
    before, after = checkpoint.settings, config.flatten()
    plan = ("batch_size", "max_sequence_length", "language_balance", "seed")
    return [before[name] for name in plan] == [after[name] for name in plan]
