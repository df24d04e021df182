"""Training in plain PyTorch: to learn from, and to check the fast path against.

``take_step`` is the whole method: forward pass, cross-entropy, backward pass, clipping, optimizer step. The fast path
(``loop`` and what it calls) adds worker processes, handwritten gradients, dropout and sampled softmax.
``tests/training/test_reference.py`` shows that both compute the same where those additions are switched off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.model.reference import ReferenceTransformer
from semilla.training.data import TrainingData, arrange_documents, cut_batch, plan_epoch
from semilla.training.muon import ADAMW_RMS, POLYNOMIALS
from semilla.training.optimizer import (
    ADAM_BETAS,
    DECAY_MULTIPLIERS,
    MULTIPLIERS,
    set_learning_rate,
    set_momentum,
)
from semilla.training.schedule import compute_learning_rate, compute_momentum

Optimizers = dict[str, torch.optim.Optimizer]


class Step(NamedTuple):
    """``loss`` in nats per token, and the norm of all gradients before clipping."""

    loss: float
    gradient_norm: float


def train(
    model: ReferenceTransformer, *, config: PipelineConfiguration, data: TrainingData
) -> Iterator[Step]:
    """Train to the end of the last epoch, yielding after every step."""
    settings = config.training_hyperparameters
    optimizers = build_optimizers(model, settings)
    total_steps = settings.num_epochs * data.steps_per_epoch
    for step in range(total_steps):
        epoch, index = divmod(step, data.steps_per_epoch)
        arranged = arrange_documents(data, epoch + 1)
        starts = plan_epoch(arranged, epoch + 1)[index * data.batch_size : (index + 1) * data.batch_size]
        inputs_BT, targets_BT = map(torch.from_numpy, cut_batch(arranged, starts))
        rate = compute_learning_rate(
            step,
            total_steps=total_steps,
            base=settings.learning_rate,
            warmup_fraction=settings.warmup_fraction,
        )
        set_learning_rate(optimizers, rate)
        set_momentum(optimizers, compute_momentum(step))
        yield take_step(model, optimizers, inputs_BT, targets_BT, max_norm=settings.max_gradient_norm)


def take_step(
    model: ReferenceTransformer,
    optimizers: Optimizers,
    inputs_BT: Tensor,
    targets_BT: Tensor,
    *,
    max_norm: float,
) -> Step:
    """One optimizer step. ``targets_BT`` holds, for each input token, the token that follows it."""
    logits_BTV = model(inputs_BT)
    loss = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())
    model.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    for optimizer in optimizers.values():
        optimizer.step()
    return Step(loss.item(), norm.item())


def build_optimizers(model: ReferenceTransformer, settings: TrainingHyperparameters) -> Optimizers:
    """Muon for the matrices of the layers, AdamW for embeddings, output layer and norms."""
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "embeddings": [], "norms": []}
    for name, weight in model.named_parameters():
        is_matrix = weight.ndim == 2 and ".layers." in name
        groups["norms" if weight.ndim == 1 else "matrices" if is_matrix else "embeddings"].append(weight)

    def describe(group: str) -> dict[str, Any]:
        decay = settings.weight_decay * DECAY_MULTIPLIERS[group]
        return {"params": groups[group], "multiplier": MULTIPLIERS[group], "weight_decay": decay}

    adamw = torch.optim.AdamW([describe("embeddings"), describe("norms")], betas=ADAM_BETAS, eps=1e-10)
    return {"adamw": adamw, "muon": Muon([describe("matrices")], {})}


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made nearly orthogonal (Jordan et al. 2024; scaled as in Liu et al. 2025)."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            for weight in group["params"]:
                average = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))
                average.lerp_(weight.grad, 1 - group["momentum"])
                update = orthogonalize(weight.grad.lerp(average, group["momentum"]))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * ADAMW_RMS * math.sqrt(max(weight.shape)) * update)


def orthogonalize(matrix: Tensor) -> Tensor:
    """Bring the singular values close to one without computing them (Amsel et al. 2025, Polar Express)."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalize(matrix.T).T
    x: Tensor = matrix / matrix.norm().clamp_min(1e-7)
    for a, b, c in POLYNOMIALS:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x
