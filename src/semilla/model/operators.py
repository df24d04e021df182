"""Operators with hand-written gradients, and dropout. They read and write memory fewer times than torch's own.

Half of a training step is matrix products, which run at the machine's limit; the other half is reading and writing
memory. Shape suffixes as in ``transformer``, and N = B x H, the heads of all sequences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor

from semilla.model.shape import QUERY_ROWS

NORM_EPSILON = 1e-5


class Positions(NamedTuple):
    """The rotary tables for every head, and the causal mask. They depend on positions alone."""

    cos_THK: Tensor
    sin_THK: Tensor
    mask_TT: Tensor


class Normalization(torch.autograd.Function):
    """``x / rms(x)`` over the last dimension. The norm's weight is multiplied into the next matrix."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact).square() / x.shape[-1]
        scale = (mean_square + NORM_EPSILON).rsqrt().to(x.dtype)
        unit: Tensor = x * scale
        ctx.save_for_backward(unit, scale)
        return unit

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        unit, scale = ctx.saved_tensors
        (grad,) = grad_outputs
        share = (grad * unit).sum(-1, keepdim=True)
        return torch.addcmul(grad, unit, share, value=-1 / unit.shape[-1]).mul_(scale)


def normalize(x: Tensor) -> Tensor:
    """``x / rms(x)`` over the last dimension."""
    unit: Tensor = Normalization.apply(x)  # type: ignore[no-untyped-call]
    return unit


def apply_rotary(x_BTHK: Tensor, cos_THK: Tensor, sin_THK: Tensor) -> Tensor:
    """Rotate each pair (k, k + K/2) by the angle of its position, with contiguous reads."""
    first, second = x_BTHK.chunk(2, dim=-1)
    return torch.addcmul(x_BTHK * cos_THK, torch.cat((second, first), dim=-1), sin_THK)


class CausalAttention(torch.autograd.Function):
    """Causal softmax(q kᵀ / √K) v, with rotary positions applied to q and k.

    ``QUERY_ROWS`` queries at a time. The gradient of the softmax needs, for each query, the mean of its scores'
    gradients under its probabilities. That mean is output · gradient (Dao et al. 2022,
    https://arxiv.org/abs/2205.14135, appendix B).
    """

    @staticmethod
    def forward(ctx: Any, qkv_BTHK: Tensor, cos_THK: Tensor, sin_THK: Tensor, mask_TT: Tensor) -> Tensor:
        num_rotated = cos_THK.shape[1]
        qk_BTHK, v_BTHK = torch.split(qkv_BTHK, [num_rotated, num_rotated // 2], dim=2)
        q_NTK, k_NTK = map(_split_heads, apply_rotary(qk_BTHK, cos_THK, sin_THK).chunk(2, dim=2))
        v_NTK = _split_heads(v_BTHK)
        output_NTK = torch.empty_like(v_NTK)
        probabilities = []
        scale = 1 / math.sqrt(q_NTK.shape[-1])
        for rows, keys in _cut_queries(q_NTK.shape[1]):
            scores = torch.baddbmm(mask_TT[rows, keys], q_NTK[:, rows], k_NTK[:, keys].mT, alpha=scale)
            probabilities.append(torch.softmax(scores, dim=-1))
            output_NTK[:, rows] = torch.bmm(probabilities[-1], v_NTK[:, keys])
        ctx.save_for_backward(cos_THK, sin_THK, q_NTK, k_NTK, v_NTK, output_NTK, *probabilities)
        return _join_heads(output_NTK, batch_size=len(v_BTHK)).contiguous()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        cos_THK, sin_THK, q_NTK, k_NTK, v_NTK, output_NTK, *probabilities = ctx.saved_tensors
        (grad_BTHK,) = grad_outputs
        grad_NTK = _split_heads(grad_BTHK)
        negative_mean_NT1 = (grad_NTK * output_NTK).sum(-1, keepdim=True).neg_()
        grad_q, grad_k, grad_v = torch.empty_like(q_NTK), torch.zeros_like(k_NTK), torch.zeros_like(v_NTK)
        scale = 1 / math.sqrt(q_NTK.shape[-1])
        for (rows, keys), probability in zip(_cut_queries(q_NTK.shape[1]), probabilities, strict=True):
            grad_rows = grad_NTK[:, rows]
            grad_scores = torch.baddbmm(negative_mean_NT1[:, rows], grad_rows, v_NTK[:, keys].mT)
            grad_scores *= probability
            grad_q[:, rows].baddbmm_(grad_scores, k_NTK[:, keys], beta=0, alpha=scale)
            grad_k[:, keys].baddbmm_(grad_scores.mT, q_NTK[:, rows], alpha=scale)
            grad_v[:, keys].baddbmm_(probability.mT, grad_rows)
        *grads_qk, grad_v = (_join_heads(x, batch_size=len(grad_BTHK)) for x in (grad_q, grad_k, grad_v))
        grad_qk = apply_rotary(torch.cat(grads_qk, dim=2), cos_THK, -sin_THK)
        return torch.cat((grad_qk, grad_v), dim=2), None, None, None


def attend(qkv_BTHK: Tensor, positions: Positions) -> Tensor:
    """Scaled dot-product attention of all heads, [B, T, H, K], from their concatenated queries, keys and values.

    At short contexts the scores fit the cache: forward and backward took 13 ms with explicit products and 51 ms with
    torch's fused kernel (32 x 128 tokens, 4 heads of 32, one thread).
    """
    mixed: Tensor = CausalAttention.apply(qkv_BTHK, *positions)  # type: ignore[no-untyped-call]
    return mixed


def _split_heads(x_BTHK: Tensor) -> Tensor:
    """Each head of each sequence as a contiguous matrix [T, K]."""
    return x_BTHK.transpose(1, 2).flatten(0, 1).contiguous()


def _join_heads(x_NTK: Tensor, *, batch_size: int) -> Tensor:
    """The inverse of ``_split_heads``: [B, T, H, K]."""
    return x_NTK.view(batch_size, -1, *x_NTK.shape[1:]).transpose(1, 2)


def _cut_queries(length: int) -> list[tuple[slice, slice]]:
    """Blocks of queries, and for each the keys up to its last query."""
    ends = [min(start + QUERY_ROWS, length) for start in range(0, length, QUERY_ROWS)]
    return [(slice(start, end), slice(0, end)) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


class GatedUnit(torch.autograd.Function):
    """``silu(x gateᵀ) * (x upᵀ)``."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, gate_FD: Tensor, up_FD: Tensor) -> Tensor:
        gate_NF, up_NF = x_ND @ gate_FD.t(), x_ND @ up_FD.t()
        active_NF = F.silu(gate_NF)
        ctx.save_for_backward(x_ND, gate_FD, up_FD, gate_NF, up_NF, active_NF)
        return active_NF * up_NF

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x_ND, gate_FD, up_FD, gate_NF, up_NF, active_NF = ctx.saved_tensors
        (grad_NF,) = grad_outputs
        grad_up = grad_NF * active_NF
        grad_gate = torch.ops.aten.silu_backward(grad_NF * up_NF, gate_NF)
        grad_x = torch.addmm(grad_up @ up_FD, grad_gate, gate_FD)
        return grad_x, grad_gate.t() @ x_ND, grad_up.t() @ x_ND


def gate(x_ND: Tensor, gate_FD: Tensor, up_FD: Tensor) -> Tensor:
    """``silu(x gateᵀ) * (x upᵀ)``."""
    gated_NF: Tensor = GatedUnit.apply(x_ND, gate_FD, up_FD)  # type: ignore[no-untyped-call]
    return gated_NF


class RowSeed(ISeedSequence):
    """A seed that is random already, so that NumPy need not mix it: ten times as fast as its ``SeedSequence``."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[Any]:
        return np.full(n_words, self.seed, dtype)


class Dropout:
    """Zero activations at random and scale up the rest.

    Each row of a batch has a random stream of its own, so its masks do not depend on the rows computed with it. One
    random byte decides about each number: eight come from one 64-bit draw, ten times as fast as a Bernoulli draw per
    number. The probability is rounded to 256ths.
    """

    def __init__(self, probability: float, *, seeds: Sequence[int] = ()) -> None:
        self.threshold = round(256 * probability)
        self.streams = (
            [np.random.SFC64(RowSeed(seed)) for seed in seeds]  # type: ignore[arg-type]
            if self.threshold
            else []
        )

    def apply(self, x: Tensor) -> Tensor:
        """``x``, with a row for each seed, after dropout."""
        return x * self._draw_mask(x) if self.threshold else x

    def add(self, x: Tensor, delta: Tensor) -> Tensor:
        """``x`` plus ``delta`` after dropout."""
        if not self.threshold:
            return x + delta
        total: Tensor = MaskedSum.apply(x, delta, self._draw_mask(delta))  # type: ignore[no-untyped-call]
        return total

    def _draw_mask(self, x: Tensor) -> Tensor:
        row_size = x[0].numel()
        words = np.stack([stream.random_raw(-(-row_size // 8)) for stream in self.streams])
        noise = words.view(np.uint8)[:, :row_size].reshape(x.shape)
        scale = torch.tensor(256 / (256 - self.threshold), dtype=x.dtype)
        # Zero or one times the bits of the scale: NumPy does this ten times as fast as torch, but has no bfloat16.
        bits = scale.view(torch.int16 if scale.itemsize == 2 else torch.int32).numpy()
        kept = np.multiply(noise >= self.threshold, bits)
        return torch.from_numpy(kept).view(x.dtype).to(x.device)


class MaskedSum(torch.autograd.Function):
    """``x + delta * mask``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return torch.addcmul(x, delta, mask)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        (grad,) = grad_outputs
        return grad, grad * ctx.saved_tensors[0], None


NO_DROPOUT = Dropout(0.0)
