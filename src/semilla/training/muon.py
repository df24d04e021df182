"""Muon for all matrices of one shape together, in the precision that is fast on the processor.

The gradient of a matrix is replaced by the nearest orthogonal one (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon/), scaled to the size of AdamW's update (Liu et al. 2025,
https://arxiv.org/abs/2502.16982). ``torch.optim.Muon`` computes one matrix after the other, and always in bfloat16.
Processors without bfloat16 units emulate it: that took half of a training step.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

POLYNOMIALS = ((8.20516, -22.90193, 16.46072), (4.06640, -2.86115, 0.51840))
"""Coefficients of two odd quintics; applied in turn, they move singular values towards one. They are the first two of
the Polar Express (Amsel et al. 2025, https://arxiv.org/abs/2505.16932), divided by 1.01, 1.01³ and 1.01⁵ as advised."""
ADAMW_RMS = 0.2
"""Root mean square of a typical AdamW update, which Liu et al. match."""


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum with decoupled weight decay, for matrices only."""

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        momentum: float,
        compute_dtype: torch.dtype,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.compute_dtype = compute_dtype

    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update every matrix that has a gradient. A closure is not supported."""
        self.finish_step(orthogonalize(self.begin_step(), dtype=self.compute_dtype))

    @torch.no_grad()
    def begin_step(self) -> list[Tensor]:
        """The first half of ``step``: the matrices to orthogonalise."""
        return [self._add_momentum(matrix, group["momentum"]) for group, matrix in self._list_matrices()]

    @torch.no_grad()
    def finish_step(self, updates: Iterable[Tensor]) -> None:
        """The second half: subtract the orthogonalised ``updates`` from the matrices."""
        for (group, matrix), update in zip(self._list_matrices(), updates, strict=True):
            scale = ADAMW_RMS * math.sqrt(max(matrix.shape))
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(update, alpha=-group["lr"] * scale)

    def _list_matrices(self) -> list[tuple[dict[str, Any], Tensor]]:
        return [
            (group, matrix)
            for group in self.param_groups
            for matrix in group["params"]
            if matrix.grad is not None
        ]

    def _add_momentum(self, matrix: Tensor, momentum: float) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        average: Tensor = state["momentum_buffer"]
        gradient = matrix.grad
        assert gradient is not None
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def orthogonalize(matrices: list[Tensor], *, dtype: torch.dtype) -> list[Tensor]:
    """Move the singular values of each matrix towards one (for a random matrix, to 0.2 to 2), computing in ``dtype``.

    Matrices of one shape, or transposed shape, are computed together. A matrix of zeros stays zero.
    """
    batches: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        batches[tuple(sorted(matrix.shape))].append(index)
    found = list(matrices)
    for indices in batches.values():
        wide = torch.stack([_make_wide(matrices[index]) for index in indices]).to(dtype)
        for index, result in zip(indices, _apply_polynomials(wide), strict=True):
            found[index] = result.t() if _is_tall(matrices[index]) else result
    return found


def _apply_polynomials(wide_NRC: Tensor) -> Tensor:
    """X <- aX + (bA + cA²)X with A = XXᵀ, for each of the N matrices."""
    wide_NRC = wide_NRC / wide_NRC.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for first, third, fifth in POLYNOMIALS:
        gram_NRR = wide_NRC @ wide_NRC.mT
        factor_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=third, alpha=fifth)
        wide_NRC = torch.baddbmm(wide_NRC, factor_NRR, wide_NRC, beta=first)
    return wide_NRC


def _is_tall(matrix: Tensor) -> bool:
    return matrix.shape[0] > matrix.shape[1]


def _make_wide(matrix: Tensor) -> Tensor:
    return matrix.t() if _is_tall(matrix) else matrix
