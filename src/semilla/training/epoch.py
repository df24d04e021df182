"""The end of an epoch: evaluate, compare with the best epoch so far, append to the history."""

from __future__ import annotations

import math

from semilla.errors import ValidationFailureError
from semilla.records.metrics import EpochMetrics
from semilla.training.data import TrainingData
from semilla.training.evaluate import evaluate, find_step
from semilla.training.parallel.workers import Workers
from semilla.training.state import BestModel, EpochTotals, RunState, StepInfo


def finish_epoch(
    state: RunState, info: StepInfo, *, data: TrainingData, workers: Workers
) -> tuple[EpochMetrics, bool]:
    """Evaluate the epoch in all processes, append it to the history, keep the weights if they are the best.

    Returns its metrics, and whether they are the best so far.
    Raises ValidationFailureError and leaves ``state`` unchanged when the validation loss is NaN or infinite: no
    later loss would compare as better than NaN.
    """
    evaluation = evaluate(state.model, data, step=find_step(data), measure=workers.measure)
    if not math.isfinite(evaluation.loss):
        raise ValidationFailureError(
            f"the validation loss after epoch {info.epoch} is {evaluation.loss}; the epoch does not count. "
            "Lower --learning-rate and continue with --resume",
            missed=["validation_loss"],
            figures={"step": info.step, "validation_loss": evaluation.loss},
        )
    totals = state.totals
    metrics = EpochMetrics(
        epoch_number=info.epoch,
        train_loss=totals.nats / totals.tokens,
        validation_loss=evaluation.loss,
        learning_rate=info.learning_rate,
        elapsed_seconds=round(totals.elapsed_s),
        sample_outputs=[],
        gradient_norm=totals.gradient_norm / totals.steps,
        tokens_per_second=totals.tokens_per_second,
        bits_per_byte=evaluation.bits_per_byte,
    )
    is_best = state.best is None or metrics.validation_loss < state.best.validation_loss
    if is_best:
        weights = {name: tensor.detach().clone() for name, tensor in state.model.state_dict().items()}
        state.best = BestModel(info.epoch, metrics.validation_loss, weights)
    state.history.append(metrics)
    state.totals = EpochTotals()
    return metrics, is_best


def align_step(state: RunState, data: TrainingData) -> int:
    """The step to continue from.

    At the end of an epoch it is counted from the epochs: their number of steps may have changed since the checkpoint.
    """
    return state.step if state.totals.steps else state.epoch * data.steps_per_epoch
