"""The state of a training: everything that changes from step to step."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.model.transformer import Transformer, initialize_weights
from semilla.records.metrics import EpochMetrics
from semilla.training.environment import DTYPES
from semilla.training.optimizer import build_optimizers


@dataclass(frozen=True)
class StepInfo:
    """One finished step: ``loss`` in nats per token, the base ``learning_rate``, the norm before clipping."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    num_tokens: int
    elapsed_s: float
    ends_epoch: bool


@dataclass
class EpochTotals:
    """Sums over the steps of the current epoch. Checkpoints save them, so that the means survive a kill."""

    nats: float = 0.0
    tokens: int = 0
    gradient_norm: float = 0.0
    steps: int = 0
    elapsed_s: float = 0.0

    @property
    def tokens_per_second(self) -> float:
        """Mean rate. At least a nanosecond counts as elapsed, in case the clock did not advance."""
        return self.tokens / max(self.elapsed_s, 1e-9)

    def add(self, info: StepInfo) -> None:
        self.nats += info.loss * info.num_tokens
        self.tokens += info.num_tokens
        self.gradient_norm += info.gradient_norm
        self.steps += 1
        self.elapsed_s += info.elapsed_s


@dataclass
class BestModel:
    """The weights with the lowest validation loss so far, and their epoch."""

    epoch: int
    validation_loss: float
    weights: dict[str, torch.Tensor]


@dataclass
class RunState:
    """Everything that training changes. ``step`` counts finished steps over all epochs."""

    model: Transformer
    optimizers: dict[str, torch.optim.Optimizer]
    step: int = 0
    totals: EpochTotals = field(default_factory=EpochTotals)
    history: list[EpochMetrics] = field(default_factory=list)
    best: BestModel | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished and evaluated."""
        return len(self.history)

    @property
    def validation_losses(self) -> list[float]:
        """Of every epoch that is done."""
        return [epoch.validation_loss for epoch in self.history]


def build_state(config: PipelineConfiguration, *, vocab_size: int, precision: str) -> RunState:
    """A new model with its optimizers, before the first step."""
    model = Transformer(
        config.model_architecture,
        vocab_size=vocab_size,
        max_positions=config.training_hyperparameters.max_sequence_length,
        compute_dtype=DTYPES[precision],
    )
    initialize_weights(model, generator=torch.Generator().manual_seed(config.seed))
    model.to(config.device)
    optimizers = build_optimizers(model, config.training_hyperparameters, compute_dtype=DTYPES[precision])
    return RunState(model, optimizers)
