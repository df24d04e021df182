"""One batch forward and backward, shard by shard."""

from __future__ import annotations

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
from semilla.training.shards import cut_shards
from semilla.training.state import RunState

Counts = npt.NDArray[np.int64]


def compute_gradients(
    state: RunState,
    batch: tuple[Windows, Windows],
    *,
    seed: int,
    dropout: float,
    sampled_from: Counts | None,
    max_norm: float,
) -> tuple[float, float]:
    """Leave the batch's gradient in the parameters; the loss in nats per token, and the norm before clipping.

    With ``sampled_from``, how often each token occurs in the text, only candidates are scored; without, all tokens. The
    embedding and the output layer get their gradients here: torch would make a matrix of zeros for every row it looked
    up.
    """
    model, (inputs, targets) = state.model, batch
    of_embedding = torch.zeros_like(model.embedding_VD)
    of_output = torch.zeros_like(model.output_weight_VD) if model.has_output_matrix else of_embedding
    total_loss = 0.0
    for number, rows in enumerate(cut_shards(*inputs.shape)):
        shard_seed = mix_seed(seed, state.step, number)
        ids_BT = torch.from_numpy(inputs[rows]).to(model.device)
        embedded_BTD = model.embed(ids_BT).detach().requires_grad_()
        hidden_BTD = model.decode(embedded_BTD, Dropout(dropout, seed=shard_seed))
        parts = choose_scored(model, targets[rows].reshape(-1), sampled_from, seed=shard_seed)
        loss = sum_losses(hidden_BTD.flatten(0, 1), parts) / targets.size
        torch.autograd.backward(loss)
        total_loss += loss.item()
        of_embedding.index_add_(0, ids_BT.flatten(), get_gradient(embedded_BTD).flatten(0, 1))
        for part in parts:
            part.add_gradient(of_output)
    model.embedding_VD.grad, model.output_weight_VD.grad = of_embedding, of_output
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return total_loss, norm.item()


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
            parts.append(Scored(rows_N, weight_VD[tokens_C].requires_grad_(), tokens_C, offset_C))
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
