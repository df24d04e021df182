"""Parameter groups and their optimizers: Muon for the matrices, AdamW for the rest.

There is one base learning rate, and each group has a multiplier for it. Muon itself is in ``muon``.
"""

from __future__ import annotations

import torch
from torch import nn

from semilla.configuration.schema import TrainingHyperparameters
from semilla.system.temporary import import_compiler
from semilla.training.muon import Muon
from semilla.training.schedule import MOMENTUM

MULTIPLIERS = {"matrices": 20.0, "embeddings": 20.0, "norms": 10.0}
"""Learning rate of each group, as a multiple of ``learning_rate``."""
ADAMW_MULTIPLIERS = {"matrices": 10.0, "embeddings": 10.0, "norms": 10.0}
"""The same when AdamW optimizes all groups."""
DECAY_MULTIPLIERS = {"matrices": 1.0, "embeddings": 3.0, "norms": 0.0}
"""Weight decay of each group, as a multiple of ``weight_decay``. Embeddings get more: they hold most parameters, and a
small text is read often."""
ADAM_BETAS = (0.9, 0.95)


def group_parameters(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Matrices inside the layers, embeddings (output layer included), and norm weights."""
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "embeddings": [], "norms": []}
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            groups["norms"].append(parameter)
        elif "embed_tokens" in name or "lm_head" in name:
            groups["embeddings"].append(parameter)
        else:
            groups["matrices"].append(parameter)
    return groups


def build_optimizers(
    model: nn.Module, settings: TrainingHyperparameters, *, compute_dtype: torch.dtype
) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by name. Every group has a ``multiplier`` for ``set_learning_rate``."""
    import_compiler()
    groups = group_parameters(model)
    use_muon = settings.optimizer == "muon"
    multipliers = MULTIPLIERS if use_muon else ADAMW_MULTIPLIERS
    optimizers: dict[str, torch.optim.Optimizer] = {}
    adamw_groups = [name for name in groups if not (use_muon and name == "matrices")]
    optimizers["adamw"] = torch.optim.AdamW(
        [
            {
                "params": groups[name],
                "multiplier": multipliers[name],
                "weight_decay": settings.weight_decay * DECAY_MULTIPLIERS[name],
            }
            for name in adamw_groups
        ],
        lr=settings.learning_rate,
        betas=ADAM_BETAS,
        eps=1e-10,
        fused=True,
    )
    if use_muon:
        optimizers["muon"] = Muon(
            [{"params": groups["matrices"], "multiplier": multipliers["matrices"]}],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay * DECAY_MULTIPLIERS["matrices"],
            momentum=MOMENTUM,
            compute_dtype=compute_dtype,
        )
    return optimizers


def set_learning_rate(optimizers: dict[str, torch.optim.Optimizer], rate: float) -> None:
    """Set the learning rate of every group to ``rate`` times its multiplier."""
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = rate * group["multiplier"]


def set_momentum(optimizers: dict[str, torch.optim.Optimizer], momentum: float) -> None:
    """Set the momentum of Muon; AdamW has its own."""
    if muon := optimizers.get("muon"):
        for group in muon.param_groups:
            group["momentum"] = momentum
