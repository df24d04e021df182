"""Cross-entropy over a large vocabulary, and its gradients, without holding all logits at once.

The output layer is three quarters of the arithmetic at the default shape, and its logits (4,096 x 8,000 numbers a step)
would be most of the memory. Rows are computed in chunks that fit the processor's cache, and the gradient of a chunk
right after its logits, as in Liger Kernel (Hsu et al. 2024, https://arxiv.org/abs/2410.10989).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from semilla.model.seeds import mix_seed
from semilla.model.transformer import Transformer
from semilla.training.data import Batch
from semilla.training.micro_batches import CHUNK_ROWS, cut_target_groups
from semilla.training.sampled_softmax import Counts, draw_sample, is_worth_sampling

MEASURED_ROWS = 128
"""Rows of float32 logits computed at a time when the loss is measured. The fastest of 32 to 512 with 2 MB of level-2
cache."""


class Loss(NamedTuple):
    """The sum of the losses of some targets in nats, and its gradients."""

    nats: Tensor
    grad_hidden_MND: Tensor
    grad_weight_MCD: Tensor


@torch.no_grad()
def compute_loss(
    hidden_MND: Tensor, weight_MCD: Tensor, targets_MN: Tensor, *, offset_MC: Tensor | None = None
) -> Loss:
    """Cross-entropy of ``hidden @ weight.T + offset`` against ``targets``, for each of M groups of rows.

    ``weight_MCD`` has a row for each token with a logit, and targets are numbers of its rows.
    """
    if offset_MC is None:
        logits_MNC = _multiply(hidden_MND, weight_MCD.mT)
    else:
        logits_MNC = torch.baddbmm(offset_MC[:, None], hidden_MND, weight_MCD.mT)
    probabilities = torch.softmax(logits_MNC, dim=-1)
    flat, targets = probabilities.view(-1, probabilities.shape[-1]), targets_MN.flatten()
    target_cells = (torch.arange(len(targets), device=targets.device), targets)
    chosen = flat[target_cells]
    nats = chosen.float().clamp_min(1e-30).log().sum().neg()
    flat[target_cells] = chosen - 1
    return Loss(nats, _multiply(probabilities, weight_MCD), _multiply(probabilities.mT, hidden_MND))


def _multiply(left: Tensor, right: Tensor) -> Tensor:
    """M matrix products. For a single large one, a batched product takes up to 1.5 times as long."""
    return (left[0] @ right[0])[None] if len(left) == 1 else left @ right


class OutputPart(NamedTuple):
    """Targets of a micro-batch, M groups of N, and the rows of the output layer that give their logits."""

    rows: slice
    targets_MN: Tensor
    weight_MCD: Tensor
    tokens_MC: Tensor | None = None
    """None when all tokens have logits."""
    offset_MC: Tensor | None = None


def add_output_loss(
    model: Transformer, hidden_ND: Tensor, batch: Batch, counts: Counts
) -> tuple[float, Tensor]:
    """The summed loss of a micro-batch in nats, and the gradient of its hidden states.

    The gradient of the output layer is added to what that layer has. Both are divided by the targets of the whole step.
    The softmax is sampled by ``counts`` where the batch says so and the vocabulary is large enough.
    """
    is_sampled = batch.samples_output and is_worth_sampling(model.vocab_size)
    grad_output_VD = get_gradient(model.output_weight_VD)
    grad_hidden_ND = hidden_ND.new_empty(batch.targets.size, hidden_ND.shape[-1])
    nats = 0.0
    for part in _sample_output(model, batch, counts) if is_sampled else _cut_full_output(model, batch):
        hidden_MND = hidden_ND[part.rows].view(*part.targets_MN.shape, -1)
        loss = compute_loss(hidden_MND, part.weight_MCD, part.targets_MN, offset_MC=part.offset_MC)
        nats += loss.nats.item()
        torch.div(loss.grad_hidden_MND.flatten(0, 1), batch.num_targets, out=grad_hidden_ND[part.rows])
        grad_weight_ND = loss.grad_weight_MCD.flatten(0, 1) / batch.num_targets
        if part.tokens_MC is None:
            grad_output_VD += grad_weight_ND
        else:
            grad_output_VD.index_add_(0, part.tokens_MC.flatten(), grad_weight_ND.to(grad_output_VD.dtype))
    return nats, grad_hidden_ND


def _cut_full_output(model: Transformer, batch: Batch) -> Iterator[OutputPart]:
    """Full softmax: chunks of targets against all tokens."""
    weight_1VD = model.output_weight_VD.detach().to(model.compute_dtype)[None]
    targets_1N = torch.from_numpy(batch.targets.reshape(1, -1)).to(model.device)
    for start in range(0, batch.targets.size, CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        yield OutputPart(rows, targets_1N[:, rows], weight_1VD)


def _sample_output(model: Transformer, batch: Batch, counts: Counts) -> Iterator[OutputPart]:
    """Sampled softmax: groups of targets of one size against the sample of each group."""
    num_rows, length = batch.targets.shape
    first_target = batch.first_row * length
    for rows, size in cut_target_groups(num_rows, length):
        targets_MN = batch.targets.reshape(-1)[rows].reshape(-1, size)
        starts = range(first_target + rows.start, first_target + rows.stop, size)
        seeds = [mix_seed(batch.seed, start, 1) for start in starts]
        sample = draw_sample(targets_MN, counts, vocab_size=model.vocab_size, seeds=seeds)
        rows_MN, tokens_MC, offset_MC = (torch.from_numpy(array).to(model.device) for array in sample)
        # Indexing takes six times as long as index_select.
        weight_ND = model.output_weight_VD.detach().index_select(0, tokens_MC.flatten())
        weight_MCD = weight_ND.to(model.compute_dtype).view(*tokens_MC.shape, -1)
        yield OutputPart(rows, rows_MN, weight_MCD, tokens_MC, offset_MC.to(model.compute_dtype))


def get_gradient(tensor: Tensor) -> Tensor:
    """The gradient of a tensor that has one."""
    assert tensor.grad is not None
    return tensor.grad


@torch.no_grad()
def sum_token_losses(hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> float:
    """Sum of the losses in nats, in float32 throughout: the figure that is reported."""
    total = 0.0
    hidden_ND = hidden_ND.float()
    for start in range(0, len(targets_N), MEASURED_ROWS):
        rows = slice(start, start + MEASURED_ROWS)
        total += F.cross_entropy(hidden_ND[rows] @ weight_VD.t(), targets_N[rows], reduction="sum").item()
    return total
