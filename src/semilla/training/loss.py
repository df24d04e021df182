"""Cross-entropy over a large vocabulary without ever holding all logits.

The output layer is three quarters of the arithmetic at the default shape, and its logits (4,096 x 8,000 numbers a step)
would be most of the memory. Rows are taken in chunks that fit the processor's cache; the gradient of a chunk is
computed while its logits are at hand, as in Liger Kernel (Hsu et al. 2024, https://arxiv.org/abs/2410.10989).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from semilla.training.shards import CHUNK_ROWS


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy in nats of ``hidden_ND @ weight_CD.T + offset_C`` against ``targets_N``."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_CD: Tensor, offset_C: Tensor | None, targets_N: Tensor
    ) -> Tensor:
        weight = weight_CD.to(hidden_ND.dtype)
        offset = None if offset_C is None else offset_C.to(hidden_ND.dtype)
        grad_hidden = torch.empty_like(hidden_ND)
        grad_weight = torch.zeros_like(weight_CD)
        total = hidden_ND.new_zeros((), dtype=torch.float32)
        for start in range(0, hidden_ND.shape[0], CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            logits = hidden_ND[rows] @ weight.t()
            if offset is not None:
                logits += offset
            probabilities = torch.softmax(logits, dim=-1)
            target_cells = (torch.arange(len(probabilities), device=targets_N.device), targets_N[rows])
            chosen = probabilities[target_cells]
            total -= chosen.float().clamp_min(1e-30).log().sum()
            probabilities[target_cells] = chosen - 1
            torch.mm(probabilities, weight, out=grad_hidden[rows])
            grad_weight += probabilities.t() @ hidden_ND[rows]
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.num_rows = hidden_ND.shape[0]
        mean: Tensor = total / ctx.num_rows
        return mean

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        scale = grad_outputs[0] / ctx.num_rows
        return grad_hidden * scale.to(grad_hidden.dtype), grad_weight * scale, None, None


def compute_training_loss(
    hidden_ND: Tensor, weight_CD: Tensor, targets_N: Tensor, *, offset_C: Tensor | None = None
) -> Tensor:
    """Mean loss in nats per token, differentiable in the hidden states and the output matrix.

    ``weight_CD`` has a row for each token that is scored, all of them or candidates; ``targets_N`` are row
    numbers, and ``offset_C`` is added to the scores.
    """
    loss: Tensor = ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_ND, weight_CD, offset_C, targets_N
    )
    return loss


@torch.no_grad()
def sum_token_losses(hidden_BTD: Tensor, weight_VD: Tensor, targets_BT: Tensor) -> float:
    """Sum of the losses in nats, in float32 throughout: the figure that is reported."""
    hidden, targets = hidden_BTD.flatten(0, 1).float(), targets_BT.flatten()
    total = 0.0
    for start in range(0, len(targets), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        total += F.cross_entropy(hidden[rows] @ weight_VD.t(), targets[rows], reduction="sum").item()
    return total
