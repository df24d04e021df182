"""Operations with a gradient written by hand, and dropout: what torch's own would take more passes over memory for.

A step of training is half products, which run at the machine's limit, and half such passes. Shape suffixes as in
``transformer``, and N = B x H, the heads of all sequences.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from semilla.model.shape import QUERY_ROWS

NORM_EPSILON = 1e-5


class Positions(NamedTuple):
    """What depends on positions alone: the rotary tables for every head, and the mask over the future."""

    cos_THK: Tensor
    sin_THK: Tensor
    mask_TT: Tensor


class Normalization(torch.autograd.Function):
    """``x / rms(x) * weight`` over the last dimension."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact).square() / x.shape[-1]
        scale = (mean_square + NORM_EPSILON).rsqrt().to(x.dtype)
        unit: Tensor = x * scale
        ctx.save_for_backward(unit, scale, weight_D)
        return unit * weight_D.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        unit, scale, weight_D = ctx.saved_tensors
        (grad,) = grad_outputs
        weight = weight_D.to(grad.dtype)
        along_unit = grad * unit
        grad_weight_D = along_unit.flatten(0, -2).sum(0, dtype=weight_D.dtype)
        share = (along_unit @ weight).unsqueeze(-1)
        grad_x = torch.addcmul(grad * weight, unit, share, value=-1 / unit.shape[-1]).mul_(scale)
        return grad_x, grad_weight_D


class Rotation(torch.autograd.Function):
    """Turn each pair (k, k + K/2) by the angle of its position; the gradient is turned back."""

    @staticmethod
    def forward(ctx: Any, x_BTHK: Tensor, cos_THK: Tensor, sin_THK: Tensor) -> Tensor:
        ctx.save_for_backward(cos_THK, sin_THK)
        return turn(x_BTHK, cos_THK, sin_THK)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        cos_THK, sin_THK = ctx.saved_tensors
        return turn(grad_outputs[0].contiguous(), cos_THK, -sin_THK), None, None


def turn(x_BTHK: Tensor, cos_THK: Tensor, sin_THK: Tensor) -> Tensor:
    """Each pair turned: three passes over memory that lies in order, however narrow a head is."""
    first, second = x_BTHK.chunk(2, dim=-1)
    return torch.addcmul(x_BTHK * cos_THK, torch.cat((second, first), dim=-1), sin_THK)


def rotate(x_BTHK: Tensor, positions: Positions) -> Tensor:
    """Turn each pair (k, k + K/2) by the angle of its position."""
    turned: Tensor = Rotation.apply(x_BTHK, positions.cos_THK, positions.sin_THK)  # type: ignore[no-untyped-call]
    return turned


class CausalAttention(torch.autograd.Function):
    """softmax(q kᵀ / √K) v where no query looks past its own position, ``QUERY_ROWS`` queries at a time.

    The gradient of the softmax uses that its probabilities weigh v to the output: their mean against the gradient is
    output · gradient (Dao et al. 2022, https://arxiv.org/abs/2205.14135, appendix B).
    """

    @staticmethod
    def forward(ctx: Any, q_NTK: Tensor, k_NTK: Tensor, v_NTK: Tensor, mask_TT: Tensor) -> Tensor:
        q_NTK = q_NTK / math.sqrt(q_NTK.shape[-1])
        output_NTK = torch.empty_like(v_NTK)
        probabilities = []
        for rows, seen in _cut_queries(q_NTK.shape[1]):
            scores = torch.baddbmm(mask_TT[rows, seen], q_NTK[:, rows], k_NTK[:, seen].mT)
            probabilities.append(torch.softmax(scores, dim=-1))
            output_NTK[:, rows] = torch.bmm(probabilities[-1], v_NTK[:, seen])
        ctx.save_for_backward(q_NTK, k_NTK, v_NTK, output_NTK, *probabilities)
        return output_NTK

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q_NTK, k_NTK, v_NTK, output_NTK, *probabilities = ctx.saved_tensors
        (grad_NTK,) = grad_outputs
        negative_mean_NT1 = (grad_NTK * output_NTK).sum(-1, keepdim=True).neg_()
        grad_q, grad_k, grad_v = torch.empty_like(q_NTK), torch.zeros_like(k_NTK), torch.zeros_like(v_NTK)
        for (rows, seen), probability in zip(_cut_queries(q_NTK.shape[1]), probabilities, strict=True):
            grad_rows = grad_NTK[:, rows]
            grad_scores = torch.baddbmm(negative_mean_NT1[:, rows], grad_rows, v_NTK[:, seen].mT)
            grad_scores *= probability
            grad_q[:, rows] = torch.bmm(grad_scores, k_NTK[:, seen])
            grad_k[:, seen].baddbmm_(grad_scores.mT, q_NTK[:, rows])
            grad_v[:, seen].baddbmm_(probability.mT, grad_rows)
        return grad_q.div_(math.sqrt(q_NTK.shape[-1])), grad_k, grad_v, None


def attend(q_NTK: Tensor, k_NTK: Tensor, v_NTK: Tensor, mask_TT: Tensor) -> Tensor:
    """Scaled dot-product attention under ``mask_TT``, which is 0 where a query sees a key and -inf after it.

    At contexts this short the scores fit the cache, and products written out took 13 ms forward and backward where
    torch's fused kernel took 51 (32 x 128 tokens, 4 heads of 32, one thread).
    """
    mixed: Tensor = CausalAttention.apply(q_NTK, k_NTK, v_NTK, mask_TT)  # type: ignore[no-untyped-call]
    return mixed


def _cut_queries(length: int) -> list[tuple[slice, slice]]:
    """Rows of queries, and the keys that the last of them sees."""
    ends = [min(start + QUERY_ROWS, length) for start in range(0, length, QUERY_ROWS)]
    return [(slice(start, end), slice(0, end)) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


class Dropout:
    """Zero activations at random and scale up what is left, from one random byte per number.

    Eight bytes come from one 64-bit draw, which is ten times as fast as a Bernoulli draw per number; the probability is
    rounded to 256ths. The same seed drops the same activations.
    """

    def __init__(self, probability: float, *, seed: int = 0) -> None:
        self.threshold = round(256 * probability)
        self.generator = torch.Generator().manual_seed(seed)

    def thin(self, x: Tensor) -> Tensor:
        """``x`` with some of its numbers dropped."""
        return x * self._draw_mask(x) if self.threshold else x

    def add(self, x: Tensor, delta: Tensor) -> Tensor:
        """``x`` plus what is left of ``delta``."""
        return torch.addcmul(x, delta, self._draw_mask(delta)) if self.threshold else x + delta

    def _draw_mask(self, x: Tensor) -> Tensor:
        num_draws = -(-x.numel() // 8)
        draws = torch.empty(num_draws, dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        noise = draws.view(torch.uint8)[: x.numel()].view(x.shape)
        # NumPy compares, and the result stays a byte: torch compares bytes, and turns bools into numbers, one by one.
        is_kept = torch.from_numpy(noise.numpy() >= self.threshold).view(torch.int8)
        return is_kept.to(x.device, x.dtype).mul_(256 / (256 - self.threshold))


NO_DROPOUT = Dropout(0.0)
