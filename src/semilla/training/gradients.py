"""A portion of a batch forward and backward, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from semilla.model.operators import Dropout
from semilla.model.seeds import mix_seed
from semilla.model.transformer import Transformer
from semilla.training.data import Windows
from semilla.training.micro_batches import cut_portions, cut_shards
from semilla.training.sampled_softmax import Counts
from semilla.training.scoring import choose_scored


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


def join_gradients(parameters: Sequence[nn.Parameter], block: Tensor) -> None:
    """Have the gradients lie one after the other in ``block``, where one pass adds up, measures or clears them all."""
    parts = torch.split(block, [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)


def compute_portion(model: Transformer, block: Tensor, portion: Portion, counts: Counts) -> float:
    """Leave the portion's share of the gradient in ``block``, and return its share of the loss in nats per token.

    ``block`` is where ``join_gradients`` has put the model's gradients; what it held is gone. Where the output is
    sampled only candidates are scored, drawn by ``counts``, how often each token occurs in the text. The embedding and
    the output layer get their gradients here: torch would make a matrix of zeros for every row it looked up.
    """
    block.zero_()
    of_embedding, of_output = get_gradient(model.embedding_VD), get_gradient(model.output_weight_VD)
    sampled_from = counts if portion.samples_output else None
    nats = 0.0
    for number, rows in enumerate(cut_shards(*portion.inputs.shape)):
        seed = mix_seed(portion.seed, number)
        ids_BT = torch.from_numpy(portion.inputs[rows]).to(model.device)
        embedded_BTD = model.embed(ids_BT).detach().requires_grad_()
        hidden_BTD = model.decode(embedded_BTD, Dropout(portion.dropout, seed=seed))
        targets_N = portion.targets[rows].reshape(-1)
        grad_ND = hidden_BTD.new_empty(len(targets_N), hidden_BTD.shape[-1])
        for scored in choose_scored(model, targets_N, sampled_from, seed=seed):
            loss = scored.compute_loss(hidden_BTD.detach().flatten(0, 1))
            nats += loss.nats.item()
            torch.div(loss.of_hidden_MND.flatten(0, 1), portion.num_targets, out=grad_ND[scored.rows])
            scored.add_gradient(loss.of_weight_MCD.flatten(0, 1) / portion.num_targets, of_output)
        torch.autograd.backward(hidden_BTD, grad_ND.view_as(hidden_BTD))
        of_embedding.index_add_(0, ids_BT.flatten(), get_gradient(embedded_BTD).flatten(0, 1))
    return nats / portion.num_targets


def get_gradient(leaf: Tensor) -> Tensor:
    """What ``backward`` has left in a tensor."""
    gradient = leaf.grad
    assert gradient is not None
    return gradient
