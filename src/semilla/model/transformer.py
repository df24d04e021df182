"""The network: a Llama-style decoder whose tensors carry the names of LlamaForCausalLM.

RMSNorm before each block, rotary positions, SwiGLU, no biases (Touvron et al. 2023, https://arxiv.org/abs/2302.13971).

Shape suffixes: B batch, T position, D d_model, H head, K width of a head, F dim_feedforward, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semilla.config import ModelArchitecture

NORM_EPSILON = 1e-5
ROPE_THETA = 10_000.0


class Transformer(nn.Module):
    """Token ids in, normalised hidden states out; ``compute_logits`` turns those into scores over the vocabulary.

    Parameters are float32; matrix products run in ``compute_dtype``.
    """

    cos_THK: Tensor
    sin_THK: Tensor
    mask_TT: Tensor

    def __init__(
        self,
        architecture: ModelArchitecture,
        *,
        vocab_size: int,
        max_positions: int,
        compute_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.vocab_size = vocab_size
        self.max_positions = max_positions
        self.compute_dtype = compute_dtype
        self.model = Decoder(architecture, vocab_size=vocab_size)
        if not architecture.tie_embeddings:
            self.lm_head = Linear(architecture.d_model, vocab_size)
        cos_THK, sin_THK = compute_rotary_tables(
            max_positions, architecture.num_heads, architecture.d_model // architecture.num_heads
        )
        self.register_buffer("cos_THK", cos_THK, persistent=False)
        self.register_buffer("sin_THK", sin_THK, persistent=False)
        hidden_future_TT = torch.full((max_positions, max_positions), -math.inf).triu(1)
        self.register_buffer("mask_TT", hidden_future_TT, persistent=False)

    @property
    def device(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    @property
    def output_weight_VD(self) -> Tensor:
        """The output layer's matrix: its own, or the embedding's when they are tied."""
        owner = self.model.embed_tokens if self.architecture.tie_embeddings else self.lm_head
        return owner.weight

    def decoder_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the layers and of the last norm: all but the embedding and the output layer."""
        yield from self.model.layers.parameters()
        yield from self.model.norm.parameters()

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Hidden states [B, T, D] in ``compute_dtype`` for token ids [B, T]; T is at most ``max_positions``."""
        return self.decode(self.embed(ids_BT))

    def embed(self, ids_BT: Tensor) -> Tensor:
        """The rows of the embedding, [B, T, D], in float32."""
        return self.model.embed_tokens(ids_BT)  # type: ignore[no-any-return]

    def decode(self, embedded_BTD: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Hidden states for embedded tokens; ``dropout`` is for training."""
        length, dtype = embedded_BTD.shape[1], self.compute_dtype
        positions = Positions(
            self.cos_THK[:length].to(dtype),
            self.sin_THK[:length].to(dtype),
            self.mask_TT[:length, :length].to(dtype),
        )
        return self.model(embedded_BTD.to(dtype), positions, dropout or NO_DROPOUT)  # type: ignore[no-any-return]

    def compute_logits(self, hidden_BTD: Tensor) -> Tensor:
        """Scores [B, T, V] in ``compute_dtype``."""
        return F.linear(hidden_BTD, self.output_weight_VD.to(hidden_BTD.dtype))


class Positions(NamedTuple):
    """What depends on positions alone: the rotary tables for every head, and the mask over the future."""

    cos_THK: Tensor
    sin_THK: Tensor
    mask_TT: Tensor


class Decoder(nn.Module):
    def __init__(self, architecture: ModelArchitecture, *, vocab_size: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, architecture.d_model)
        self.layers = nn.ModuleList(Layer(architecture) for _ in range(architecture.num_layers))
        self.norm = RMSNorm(architecture.d_model)

    def forward(self, embedded_BTD: Tensor, positions: Positions, dropout: Dropout) -> Tensor:
        hidden_BTD = dropout.thin(embedded_BTD)
        for layer in self.layers:
            hidden_BTD = layer(hidden_BTD, positions, dropout)
        return self.norm(hidden_BTD)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """One block: attention, then feed-forward, each on a normalised copy and added back."""

    def __init__(self, architecture: ModelArchitecture) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(architecture.d_model)
        self.self_attn = Attention(architecture.d_model, architecture.num_heads)
        self.post_attention_layernorm = RMSNorm(architecture.d_model)
        self.mlp = FeedForward(architecture.d_model, architecture.dim_feedforward)

    def forward(self, hidden_BTD: Tensor, positions: Positions, dropout: Dropout) -> Tensor:
        attended_BTD = self.self_attn(self.input_layernorm(hidden_BTD), positions)
        hidden_BTD = dropout.add(hidden_BTD, attended_BTD)
        return dropout.add(hidden_BTD, self.mlp(self.post_attention_layernorm(hidden_BTD)))


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = Linear(d_model, d_model)
        self.k_proj = Linear(d_model, d_model)
        self.v_proj = Linear(d_model, d_model)
        self.o_proj = Linear(d_model, d_model)

    def forward(self, hidden_BTD: Tensor, positions: Positions) -> Tensor:
        q_BTHK = rotate(self._split_heads(self.q_proj(hidden_BTD)), positions)
        k_BTHK = rotate(self._split_heads(self.k_proj(hidden_BTD)), positions)
        v_BTHK = self._split_heads(self.v_proj(hidden_BTD))
        q_BHTK, k_BHTK, v_BHTK = (x.transpose(1, 2) for x in (q_BTHK, k_BTHK, v_BTHK))
        mixed_BHTK = attend(q_BHTK, k_BHTK, v_BHTK, positions.mask_TT)
        return self.o_proj(mixed_BHTK.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _split_heads(self, x_BTD: Tensor) -> Tensor:
        return torch.unflatten(x_BTD, 2, (self.num_heads, -1))


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202): one half gates the other."""

    def __init__(self, d_model: int, dim_feedforward: int) -> None:
        super().__init__()
        self.gate_proj = Linear(d_model, dim_feedforward)
        self.up_proj = Linear(d_model, dim_feedforward)
        self.down_proj = Linear(dim_feedforward, d_model)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        gated_BTF = F.silu(self.gate_proj(hidden_BTD)) * self.up_proj(hidden_BTD)
        return self.down_proj(gated_BTF)  # type: ignore[no-any-return]


class RMSNorm(nn.Module):
    """Scale each vector to unit root mean square (Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        normalized: Tensor = Normalization.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return normalized


class Normalization(torch.autograd.Function):
    """``x / rms(x) * weight`` over the last dimension: torch's own takes twice as many passes over memory backward."""

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


class Linear(nn.Module):
    """A matrix without bias, kept in float32 and multiplied in the dtype of its input."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


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
        noise = draws.view(torch.uint8)[: x.numel()].view(x.shape).to(x.device)
        return (noise >= self.threshold).to(x.dtype).mul_(256 / (256 - self.threshold))


NO_DROPOUT = Dropout(0.0)


def initialize_weights(model: Transformer, *, generator: torch.Generator) -> None:
    """Draw every matrix from a normal distribution, in a fixed order, from ``generator``.

    Deviation 0.02 for the embeddings, 1/sqrt(fan-in) for the matrices; the two that write into the residual stream
    are scaled down by sqrt(2 x layers), so that its variance does not grow with depth (Radford et al. 2019).
    """
    residual_scale = 1 / math.sqrt(2 * model.architecture.num_layers)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0)
            elif "embed_tokens" in name or "lm_head" in name:
                weight.normal_(0, 0.02, generator=generator)
            else:
                scale = residual_scale if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                weight.normal_(0, scale / math.sqrt(weight.shape[1]), generator=generator)


def compute_rotary_tables(max_positions: int, num_heads: int, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, H, K], in the half-split layout of Hugging Face (Su et al. 2021, RoFormer).

    The same for every head; the sine of a pair's first half is negative, as the turn wants it.
    """
    frequencies = ROPE_THETA ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.outer(torch.arange(max_positions, dtype=torch.float64), frequencies)
    cos_TK = torch.cat((angles.cos(), angles.cos()), dim=1)
    sin_TK = torch.cat((-angles.sin(), angles.sin()), dim=1)
    cos_THK, sin_THK = (
        table[:, None].expand(-1, num_heads, -1).float().contiguous() for table in (cos_TK, sin_TK)
    )
    return cos_THK, sin_THK


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


def attend(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, mask_TT: Tensor) -> Tensor:
    """Scaled dot-product attention, written out.

    At contexts this short the whole score matrix fits the cache, and plain batched products in bfloat16 took 13 ms
    forward and backward where torch's fused CPU kernel took 51 ms (32 x 128 tokens, 4 heads of 32, one thread).
    """
    batch, heads, length, width = q_BHTK.shape
    q, k, v = (x.reshape(batch * heads, length, width) for x in (q_BHTK, k_BHTK, v_BHTK))
    scores = torch.baddbmm(mask_TT, q, k.transpose(1, 2), alpha=1 / math.sqrt(width))
    return torch.bmm(torch.softmax(scores, dim=-1), v).view(batch, heads, length, width)


def mix_seed(*numbers: int) -> int:
    """One 63-bit seed out of several numbers (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = 0
    for number in numbers:
        value = ((value + number) * 0x9E3779B97F4A7C15 + 1) & (2**64 - 1)
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        value ^= value >> 31
    return value >> 1


def describe_llama(model: Transformer) -> dict[str, Any]:
    """The architecture in the words of Hugging Face's LlamaConfig."""
    architecture = model.architecture
    return {
        "vocab_size": model.vocab_size,
        "hidden_size": architecture.d_model,
        "intermediate_size": architecture.dim_feedforward,
        "num_hidden_layers": architecture.num_layers,
        "num_attention_heads": architecture.num_heads,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_THETA,
        "max_position_embeddings": model.max_positions,
        "tie_word_embeddings": architecture.tie_embeddings,
    }
