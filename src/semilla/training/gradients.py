"""A portion of a batch forward and backward, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from semilla.model.operators import Dropout
from semilla.model.transformer import Transformer
from semilla.seeds import mix_seed
from semilla.training.batches import Windows
from semilla.training.candidates import SHARED_BY, draw_candidates
from semilla.training.loss import compute_training_loss
from semilla.training.shards import cut_portions, cut_shards

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Portion:
    """A batch, or the part of one that a process computes: tokens [B, T] and how to compute them."""

    inputs: Windows
    targets: Windows
    num_targets: int
    """Of the whole batch: the loss is their mean."""
    seed: int
    dropout: float
    samples_output: bool

    def cut(self, count: int) -> list[Portion]:
        """At most ``count`` portions of this one, each with a seed of its own."""
        return [
            replace(
                self,
                inputs=self.inputs[rows],
                targets=self.targets[rows],
                seed=mix_seed(self.seed, number),
            )
            for number, rows in enumerate(cut_portions(len(self.inputs), count))
        ]


def compute_portion(model: Transformer, portion: Portion, counts: Counts) -> float:
    """Leave the portion's share of the gradient in the parameters, and return its share of the loss in nats per token.

    Where the output is sampled only candidates are scored, drawn by ``counts``, how often each token occurs in the
    text. The embedding and the output layer get their gradients here: torch would make a matrix of zeros for every row
    it looked up.
    """
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        else:
            parameter.grad.zero_()
    of_embedding, of_output = get_gradient(model.embedding_VD), get_gradient(model.output_weight_VD)
    loss = 0.0
    for number, rows in enumerate(cut_shards(*portion.inputs.shape)):
        seed = mix_seed(portion.seed, number)
        targets_N = portion.targets[rows].reshape(-1)
        ids_BT = torch.from_numpy(portion.inputs[rows]).to(model.device)
        embedded_BTD = model.embed(ids_BT).detach().requires_grad_()
        hidden_BTD = model.decode(embedded_BTD, Dropout(portion.dropout, seed=seed))
        parts = choose_scored(model, targets_N, counts if portion.samples_output else None, seed=seed)
        nats = sum_losses(hidden_BTD.flatten(0, 1), parts) / portion.num_targets
        torch.autograd.backward(nats)
        loss += nats.item()
        of_embedding.index_add_(0, ids_BT.flatten(), get_gradient(embedded_BTD).flatten(0, 1))
        for part in parts:
            part.add_gradient(of_output)
    return loss


class Scored(NamedTuple):
    """Targets that are scored together, as rows of ``weight_CD``: all of the output layer, or ``tokens_C`` of it."""

    targets_N: Tensor
    weight_CD: Tensor
    tokens_C: Tensor | None = None
    offset_C: Tensor | None = None

    def add_gradient(self, of_output_VD: Tensor) -> None:
        """Add what the rows of ``weight_CD`` got to the gradient of the whole layer."""
        gradient_CD = get_gradient(self.weight_CD)
        if self.tokens_C is None:
            of_output_VD += gradient_CD
        else:
            of_output_VD.index_add_(0, self.tokens_C, gradient_CD)


def choose_scored(
    model: Transformer,
    targets_N: Windows,
    sampled_from: Counts | None,
    *,
    seed: int,
) -> list[Scored]:
    """A shard's targets, those together that share candidates; all of them where every token is scored."""
    weight_VD = model.output_weight_VD.detach()
    if sampled_from is None:
        return [Scored(torch.from_numpy(targets_N).to(model.device), weight_VD.requires_grad_())]
    parts = []
    for start in range(0, len(targets_N), SHARED_BY):
        part_N = targets_N[start : start + SHARED_BY]
        drawn = draw_candidates(part_N, sampled_from, vocab_size=model.vocab_size, seed=mix_seed(seed, start))
        if drawn is None:
            parts += choose_scored(model, part_N, None, seed=seed)
        else:
            rows_N, tokens_C, offset_C = (torch.from_numpy(array).to(model.device) for array in drawn)
            weight_CD = weight_VD.index_select(0, tokens_C)  # indexing takes six times as long
            parts.append(Scored(rows_N, weight_CD.requires_grad_(), tokens_C, offset_C))
    return parts


def sum_losses(hidden_ND: Tensor, parts: list[Scored]) -> Tensor:
    """The losses in nats of all targets of ``parts``, whose hidden states these are."""
    nats = hidden_ND.new_zeros((), dtype=torch.float32)
    rows = torch.split(hidden_ND, [len(part.targets_N) for part in parts])
    for hidden, part in zip(rows, parts, strict=True):
        mean = compute_training_loss(hidden, part.weight_CD, part.targets_N, offset_C=part.offset_C)
        nats = nats + mean * len(hidden)
    return nats


def get_gradient(leaf: Tensor) -> Tensor:
    """What ``backward`` has left in a tensor."""
    gradient = leaf.grad
    assert gradient is not None
    return gradient
