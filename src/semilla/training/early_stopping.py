"""Early stopping: when the validation loss improves no more, a cool-down of a few epochs ends the training.

The learning rate then falls to its end in a straight line, and the best model is the last. Everything follows from the
validation losses so far, which checkpoints save, so a training that is resumed ends as it would have.
"""

from __future__ import annotations

from collections.abc import Sequence

from semilla.configuration.schema import TrainingHyperparameters
from semilla.training.schedule import Schedule

COOL_DOWN_SHARE = 0.2
"""Epochs of the cool-down, as a share of those before it; at least one."""


def find_cool_down(losses: Sequence[float], settings: TrainingHyperparameters) -> int:
    """Epochs before the cool-down; all that are planned, if there is none.

    ``losses`` are the validation losses of the epochs that are done. It begins when ``early_stopping`` epochs in a row
    were no better than the best before them, unless the training would end as soon without it.
    """
    best = 0
    for epoch in range(1, len(losses) + 1 if settings.early_stopping else 0):
        if best == 0 or losses[epoch - 1] < losses[best - 1]:
            best = epoch
        elif epoch - best >= settings.early_stopping:
            return epoch if count_epochs(epoch) < settings.num_epochs else settings.num_epochs
    return settings.num_epochs


def count_epochs(cools_after: int) -> int:
    """Epochs of a training whose cool-down begins after so many."""
    return cools_after + max(1, round(COOL_DOWN_SHARE * cools_after))


def find_last_epoch(losses: Sequence[float], settings: TrainingHyperparameters) -> int:
    """The epoch with which a training ends, as far as ``losses`` tell."""
    return min(settings.num_epochs, count_epochs(find_cool_down(losses, settings)))


def plan_schedule(cools_after: int, settings: TrainingHyperparameters, *, steps_per_epoch: int) -> Schedule:
    """The steps of a training whose cool-down begins after so many epochs."""
    planned = settings.num_epochs * steps_per_epoch
    if cools_after >= settings.num_epochs:
        return Schedule(planned)
    return Schedule(
        planned, range(cools_after * steps_per_epoch, count_epochs(cools_after) * steps_per_epoch)
    )


def describe_cool_down(losses: Sequence[float], settings: TrainingHyperparameters) -> str | None:
    """Say why and when a training ends before all its epochs; None when it does not."""
    cools_after = find_cool_down(losses, settings)
    if cools_after >= settings.num_epochs:
        return None
    waited = settings.early_stopping
    return (
        f"after epoch {cools_after} of {settings.num_epochs} the validation loss had not improved for "
        f"{f'{waited} epochs' if waited > 1 else 'an epoch'}, so the learning rate falls to its end by epoch "
        f"{count_epochs(cools_after)}, the last"
    )
