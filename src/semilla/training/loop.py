"""The training loop, as a generator: it computes and yields after every step, without files or output.

Nothing is lost when the caller stops iterating. ``RunState`` is complete between steps, and everything else (learning
rate, batches, dropout) is a pure function of the configuration, the seed and the step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import nullcontext

import torch

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.errors import DivergedError
from semilla.model.seeds import mix_seed
from semilla.training.data import (
    Batch,
    TrainingData,
    Windows,
    arrange_documents,
    cut_batch,
    draw_repetitions,
    halve_sequences,
    plan_epoch,
)
from semilla.training.early_stopping import find_cool_down, plan_schedule
from semilla.training.optimizer import set_learning_rate, set_momentum
from semilla.training.parallel.workers import Workers
from semilla.training.schedule import Schedule, compute_dropout, compute_learning_rate, compute_momentum
from semilla.training.state import RunState, StepInfo


def train(
    state: RunState, *, config: PipelineConfiguration, data: TrainingData, workers: Workers | None = None
) -> Generator[StepInfo]:
    """Train from ``state.step`` to the end of the last epoch, yielding after every step.

    Without ``workers`` it starts its own and kills them when the generator is closed. After the last step of an epoch
    the caller evaluates and appends to ``state.history``, where early stopping looks, before it continues. Raises
    DivergedError, before the update, when the loss or the gradient is NaN or infinite.
    """
    settings = config.training_hyperparameters
    with nullcontext(workers) if workers else Workers(config) as processes:
        processes.share(state, data)
        while state.step < (schedule := plan_steps(state, settings, data, processes)).total_steps:
            epoch, step_in_epoch = divmod(state.step, data.steps_per_epoch)
            arranged = arrange_documents(data, epoch + 1)
            starts = plan_epoch(arranged, epoch + 1)
            for index in range(step_in_epoch, data.steps_per_epoch):
                batch = starts[index * data.batch_size : (index + 1) * data.batch_size]
                yield take_step(state, settings, batch, schedule=schedule, data=arranged, workers=processes)


def plan_steps(
    state: RunState, settings: TrainingHyperparameters, data: TrainingData, workers: Workers | None = None
) -> Schedule:
    """The steps of the training, as far as the validation losses tell. Of several ranks, only rank 0 has these."""
    cools_after = find_cool_down(state.validation_losses, settings)
    if settings.early_stopping and workers:
        cools_after = workers.agree(cools_after)
    return plan_schedule(cools_after, settings, steps_per_epoch=data.steps_per_epoch)


def take_step(
    state: RunState,
    settings: TrainingHyperparameters,
    starts: Windows,
    *,
    schedule: Schedule,
    data: TrainingData,
    workers: Workers,
) -> StepInfo:
    """One optimizer step on the windows that begin at ``starts``."""
    began_s = time.perf_counter()
    rate = schedule_optimizers(state, settings, schedule=schedule)
    batch = plan_batch(state.step, settings, starts, schedule=schedule, data=data)
    with workers.limit_threads():
        loss, norm = compute_gradients(batch, workers, max_norm=settings.max_gradient_norm)
        check_finite(state.step + 1, settings, starts, loss=loss, norm=norm)
        workers.update(state.optimizers)
    state.step += 1
    info = StepInfo(
        step=state.step,
        epoch=(state.step - 1) // data.steps_per_epoch + 1,
        loss=loss,
        learning_rate=rate,
        gradient_norm=norm,
        num_tokens=batch.num_targets,
        elapsed_s=time.perf_counter() - began_s,
        ends_epoch=state.step % data.steps_per_epoch == 0,
    )
    state.totals.add(info)
    return info


def check_finite(
    step: int, settings: TrainingHyperparameters, starts: Windows, *, loss: float, norm: float
) -> None:
    """Raise DivergedError when the loss or the norm of the gradient is NaN or infinite."""
    if math.isfinite(loss) and math.isfinite(norm):
        return
    raise DivergedError(
        f"step {step}: the loss is {loss} and the gradient norm {norm}; the update was not made. "
        f"Lower --learning-rate (now {settings.learning_rate:g})",
        figures={"step": step, "loss": loss, "gradient_norm": norm, "windows": starts.tolist()},
    )


def schedule_optimizers(state: RunState, settings: TrainingHyperparameters, *, schedule: Schedule) -> float:
    """Set learning rate and momentum for the next step; return the base learning rate."""
    rate = compute_learning_rate(
        state.step,
        total_steps=schedule.planned_steps,
        base=settings.learning_rate,
        warmup_fraction=settings.warmup_fraction,
        cool_down=schedule.cool_down,
    )
    set_learning_rate(state.optimizers, rate)
    set_momentum(state.optimizers, compute_momentum(state.step))
    return rate


def plan_batch(
    step: int, settings: TrainingHyperparameters, starts: Windows, *, schedule: Schedule, data: TrainingData
) -> Batch:
    """The batch of a step: the windows that begin at ``starts``, with the step's seed, dropout and kind of softmax."""
    repeats = data.fits_documents and step < settings.repetition_fraction * schedule.total_steps
    inputs, targets = cut_batch(data, *(draw_repetitions(data, starts, step) if repeats else (starts,)))
    if not data.fits_documents and step < settings.short_context_fraction * schedule.total_steps:
        inputs, targets = halve_sequences(inputs), halve_sequences(targets)
    return Batch(
        inputs,
        targets,
        num_targets=targets.size,
        seed=mix_seed(data.seed, step),
        dropout=compute_dropout(step, total_steps=schedule.planned_steps, final=settings.dropout),
        samples_output=step < settings.sampled_output_fraction * schedule.total_steps,
    )


def compute_gradients(batch: Batch, workers: Workers, *, max_norm: float) -> tuple[float, float]:
    """Compute the batch's gradient and clip it; return the loss in nats per token, and the norm before clipping."""
    loss = workers.compute(batch)
    norm = torch.linalg.vector_norm(workers.gradients).item()
    if norm > max_norm:
        workers.gradients.mul_(max_norm / norm)
    return loss, norm
