"""The gradient of a batch, or of one process's part of it: forward and backward, one micro-batch after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from semilla.model.operators import Dropout
from semilla.model.seeds import mix_seed
from semilla.model.transformer import Transformer
from semilla.training.data import Batch
from semilla.training.loss import add_output_loss, get_gradient
from semilla.training.micro_batches import cut_micro_batches
from semilla.training.sampled_softmax import Counts


def join_gradients(parameters: Sequence[nn.Parameter], gradients: Tensor) -> None:
    """Make the gradient of each parameter a part of ``gradients``, so that one operation adds or clears them all."""
    parts = torch.split(gradients, [parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)


def compute_batch(model: Transformer, gradients: Tensor, batch: Batch, counts: Counts) -> float:
    """Overwrite ``gradients`` with the batch's share of the gradient; return its share of the loss in nats per token.

    ``gradients`` is what ``join_gradients`` has given the model. ``counts`` says how often each token occurs in the
    text; the sampled softmax draws by it.
    """
    gradients.zero_()
    micro_batches = map(batch.take_rows, cut_micro_batches(*batch.inputs.shape))
    return sum(_add_micro_batch(model, part, counts) for part in micro_batches) / batch.num_targets


def _add_micro_batch(model: Transformer, batch: Batch, counts: Counts) -> float:
    """Add a micro-batch to the gradients of the model, and return the sum of its losses in nats.

    The embedding and the output layer get their gradients by ``index_add_``: torch would allocate a full matrix of
    zeros for every look-up of rows.
    """
    rows = range(batch.first_row, batch.first_row + len(batch.inputs))
    dropout = Dropout(batch.dropout, seeds=[mix_seed(batch.seed, row) for row in rows])
    ids_BT = torch.from_numpy(batch.inputs).to(model.device)
    embedded_BTD = model.embed(ids_BT).detach().requires_grad_()
    hidden_BTD = model.decode(embedded_BTD, dropout)
    nats, grad_hidden_ND = add_output_loss(model, hidden_BTD.detach().flatten(0, 1), batch, counts)
    torch.autograd.backward(hidden_BTD, grad_hidden_ND.view_as(hidden_BTD))
    grad_embedded_ND = get_gradient(embedded_BTD).flatten(0, 1)
    get_gradient(model.embedding_VD).index_add_(0, ids_BT.flatten(), grad_embedded_ND)
    return nats
