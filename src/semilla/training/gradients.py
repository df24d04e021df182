"""One batch forward and backward, shard by shard."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from semilla.model.transformer import Dropout, mix_seed
from semilla.training.batches import Windows
from semilla.training.candidates import draw_candidates
from semilla.training.loss import compute_training_loss
from semilla.training.shards import cut_shards
from semilla.training.state import RunState


def compute_gradients(
    state: RunState,
    batch: tuple[Windows, Windows],
    *,
    seed: int,
    dropout: float,
    samples_output: bool,
    max_norm: float,
) -> tuple[float, float]:
    """Leave the batch's gradient in the parameters; the loss in nats per token, and the norm before clipping.

    Threads take the shards of the batch side by side. What is large and the same for all, the embedding and the output
    layer, is looked up before and gets the sum of the shards' gradients, which are added in the order of the shards,
    whichever was ready first.
    """
    model = state.model
    inputs, targets = batch
    weight_CD, offset_C = model.output_weight_VD, None
    candidates = None
    if samples_output:
        candidates = draw_candidates(targets, vocab_size=model.vocab_size, seed=seed, step=state.step)
    if candidates is not None:
        weight_CD = weight_CD[torch.from_numpy(candidates.tokens_C).to(model.device)]
        offset_C = torch.from_numpy(candidates.offset_C).to(model.device)
        targets = np.searchsorted(candidates.tokens_C, targets)
    embedded_BTD = model.embed(torch.from_numpy(inputs).to(model.device))
    targets_BT = torch.from_numpy(targets).to(model.device)
    layers = list(model.decoder_parameters())
    shards = cut_shards(*inputs.shape)

    def compute_shard(number: int) -> tuple[float, tuple[Tensor, ...]]:
        rows = shards[number]
        embedded, weight = (x.detach().requires_grad_() for x in (embedded_BTD[rows], weight_CD))
        hidden_BTD = model.decode(embedded, Dropout(dropout, seed=mix_seed(seed, state.step, number)))
        mean_loss = compute_training_loss(hidden_BTD, weight, targets_BT[rows], offset_C=offset_C)
        loss = mean_loss * (len(embedded) / len(inputs))
        return loss.item(), torch.autograd.grad(loss, (embedded, weight, *layers))

    total_loss, of_embedded = 0.0, []
    sums: list[Tensor] = []
    for loss, (of_rows, *gradients) in state.workers.map(compute_shard, range(len(shards))):
        total_loss += loss
        of_embedded.append(of_rows)
        sums = [a.add_(b) for a, b in zip(sums, gradients, strict=True)] if sums else gradients
    of_weight, *of_layers = sums
    torch.autograd.backward((embedded_BTD, weight_CD), (torch.cat(of_embedded), of_weight))
    for parameter, gradient in zip(layers, of_layers, strict=True):
        parameter.grad = gradient
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return total_loss, norm.item()
