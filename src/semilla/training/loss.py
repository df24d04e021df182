"""Cross-entropy over a large vocabulary without ever holding all logits.

The output layer is three quarters of the arithmetic at the default shape, and its logits (4,096 x 8,000 numbers a step)
would be most of the memory. Rows are taken in chunks that fit the processor's cache; the gradient of a chunk is
computed while its logits are at hand, as in Liger Kernel (Hsu et al. 2024, https://arxiv.org/abs/2410.10989).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from semilla.training.micro_batches import CHUNK_ROWS


class Loss(NamedTuple):
    """The sum of some targets' losses in nats, and its gradients."""

    nats: Tensor
    of_hidden_MND: Tensor
    of_weight_MCD: Tensor


@torch.no_grad()
def compute_loss(
    hidden_MND: Tensor, weight_MCD: Tensor, targets_MN: Tensor, *, offset_MC: Tensor | None = None
) -> Loss:
    """Cross-entropy of ``hidden @ weight.T + offset`` against ``targets``, for each of M chunks.

    ``weight_MCD`` has a row for each token that is scored, all of them or candidates; targets are row numbers.
    """
    if offset_MC is None:
        scores_MNC = _multiply(hidden_MND, weight_MCD.mT)
    else:
        scores_MNC = torch.baddbmm(offset_MC[:, None], hidden_MND, weight_MCD.mT)
    probabilities = torch.softmax(scores_MNC, dim=-1)
    flat, targets = probabilities.view(-1, probabilities.shape[-1]), targets_MN.flatten()
    target_cells = (torch.arange(len(targets), device=targets.device), targets)
    chosen = flat[target_cells]
    nats = chosen.float().clamp_min(1e-30).log().sum().neg()
    flat[target_cells] = chosen - 1
    return Loss(nats, _multiply(probabilities, weight_MCD), _multiply(probabilities.mT, hidden_MND))


def _multiply(left: Tensor, right: Tensor) -> Tensor:
    """M products. A batched one of a single large pair would take up to half again as long."""
    return (left[0] @ right[0])[None] if len(left) == 1 else left @ right


@torch.no_grad()
def sum_token_losses(hidden_BTD: Tensor, weight_VD: Tensor, targets_BT: Tensor) -> float:
    """Sum of the losses in nats, in float32 throughout: the figure that is reported."""
    total = 0.0
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1).float(), targets_BT.flatten()
    for start in range(0, len(targets_N), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        scores_NV = hidden_ND[rows] @ weight_VD.t()
        of_targets = scores_NV.gather(1, targets_N[rows, None])
        total += (scores_NV.logsumexp(1).sum() - of_targets.sum()).item()
    return total
