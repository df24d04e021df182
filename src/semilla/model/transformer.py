"""The network: a Llama-style decoder with the tensor names of LlamaForCausalLM.

RMSNorm before each block, rotary positions, SwiGLU, no biases (Touvron et al. 2023, https://arxiv.org/abs/2302.13971).

Shape suffixes: B batch, T position, D d_model, H head, K width of a head, F dim_feedforward, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semilla.configuration.schema import ModelArchitecture
from semilla.model.operators import (
    NO_DROPOUT,
    NORM_EPSILON,
    Dropout,
    Positions,
    attend,
    gate,
    normalize,
)

ROPE_THETA = 10_000.0
EMBEDDING_DEVIATION = 0.05
"""Of the embeddings at the start. With 0.015 a small network learned to repeat the names of a text much later."""


class Transformer(nn.Module):
    """From token ids to normalised hidden states; ``compute_logits`` maps those to logits over the vocabulary.

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
            max_positions, 2 * architecture.num_heads, architecture.d_model // architecture.num_heads
        )
        self.register_buffer("cos_THK", cos_THK, persistent=False)
        self.register_buffer("sin_THK", sin_THK, persistent=False)
        causal_mask_TT = torch.full((max_positions, max_positions), -math.inf).triu(1)
        self.register_buffer("mask_TT", causal_mask_TT, persistent=False)

    @property
    def device(self) -> torch.device:
        return self.model.embed_tokens.weight.device

    @property
    def embedding_VD(self) -> Tensor:
        return self.model.embed_tokens.weight

    @property
    def output_weight_VD(self) -> Tensor:
        """The output layer's matrix: the embedding when they are tied."""
        return self.lm_head.weight if self.has_output_matrix else self.embedding_VD

    @property
    def has_output_matrix(self) -> bool:
        return not self.architecture.tie_embeddings

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
        """Logits [B, T, V] in ``compute_dtype``."""
        return F.linear(hidden_BTD, self.output_weight_VD.to(hidden_BTD.dtype))


class Decoder(nn.Module):
    def __init__(self, architecture: ModelArchitecture, *, vocab_size: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, architecture.d_model)
        self.layers = nn.ModuleList(Layer(architecture) for _ in range(architecture.num_layers))
        self.norm = RMSNorm(architecture.d_model)

    def forward(self, embedded_BTD: Tensor, positions: Positions, dropout: Dropout) -> Tensor:
        hidden_BTD = dropout.apply(embedded_BTD)
        for layer in self.layers:
            hidden_BTD = layer(hidden_BTD, positions, dropout)
        return self.norm(hidden_BTD)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention, then feed-forward; each reads a normalised copy and is added to the residual stream."""

    def __init__(self, architecture: ModelArchitecture) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(architecture.d_model)
        self.self_attn = Attention(architecture.d_model, architecture.num_heads)
        self.post_attention_layernorm = RMSNorm(architecture.d_model)
        self.mlp = FeedForward(architecture.d_model, architecture.dim_feedforward)

    def forward(self, hidden_BTD: Tensor, positions: Positions, dropout: Dropout) -> Tensor:
        unit_BTD, scale_D = normalize(hidden_BTD), self.input_layernorm.weight
        hidden_BTD = dropout.add(hidden_BTD, self.self_attn(unit_BTD, scale_D, positions))
        unit_BTD, scale_D = normalize(hidden_BTD), self.post_attention_layernorm.weight
        return dropout.add(hidden_BTD, self.mlp(unit_BTD, scale_D))


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = Linear(d_model, d_model)
        self.k_proj = Linear(d_model, d_model)
        self.v_proj = Linear(d_model, d_model)
        self.o_proj = Linear(d_model, d_model)

    def forward(self, unit_BTD: Tensor, scale_D: Tensor, positions: Positions) -> Tensor:
        batch, length, d_model = unit_BTD.shape
        matrices = (self.q_proj.weight, self.k_proj.weight, self.v_proj.weight)
        weight = (torch.cat(matrices) * scale_D).to(unit_BTD.dtype)
        qkv_BTHK = F.linear(unit_BTD, weight).view(batch, length, 3 * self.num_heads, -1)
        mixed_BTHK = attend(qkv_BTHK, positions)
        return multiply(mixed_BTHK.view(batch, length, d_model), self.o_proj)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202): one projection gates the other."""

    def __init__(self, d_model: int, dim_feedforward: int) -> None:
        super().__init__()
        self.gate_proj = Linear(d_model, dim_feedforward)
        self.up_proj = Linear(d_model, dim_feedforward)
        self.down_proj = Linear(dim_feedforward, d_model)

    def forward(self, unit_BTD: Tensor, scale_D: Tensor) -> Tensor:
        gate_FD, up_FD = (
            (layer.weight * scale_D).to(unit_BTD.dtype) for layer in (self.gate_proj, self.up_proj)
        )
        gated_NF = gate(unit_BTD.flatten(0, 1), gate_FD, up_FD)
        return multiply(gated_NF, self.down_proj).view_as(unit_BTD)


class RMSNorm(nn.Module):
    """Scale each vector to unit root mean square (Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        return normalize(x) * self.weight.to(x.dtype)


class Linear(nn.Module):
    """A matrix without bias, [out, in], kept in float32."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))


def multiply(x: Tensor, layer: Linear) -> Tensor:
    """``x`` times the matrix of ``layer``, in the dtype of ``x``."""
    return F.linear(x, layer.weight.to(x.dtype))


def initialize_weights(model: Transformer, *, generator: torch.Generator) -> None:
    """Draw every matrix from a normal distribution, in a fixed order, from ``generator``.

    The standard deviation is 1/sqrt(fan-in) for the matrices. The two matrices that write
    into the residual stream are divided by sqrt(2 x layers), so that its variance does not grow with depth (Radford et
    al. 2019).

    Attention starts close to what training leads to (Trockman & Kolter 2023, https://arxiv.org/abs/2305.09828).
    Queries equal keys, so a token attends to tokens like itself. The output matrix is the transpose of the value
    matrix, so what is attended to is copied.
    """
    residual_scale = 1 / math.sqrt(2 * model.architecture.num_layers)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0)
            elif "embed_tokens" in name or "lm_head" in name:
                weight.normal_(0, EMBEDDING_DEVIATION, generator=generator)
            else:
                scale = residual_scale if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                weight.normal_(0, scale / math.sqrt(weight.shape[1]), generator=generator)
        for attention in (module for module in model.modules() if isinstance(module, Attention)):
            attention.q_proj.weight.copy_(attention.k_proj.weight)
            attention.o_proj.weight.copy_(residual_scale * attention.v_proj.weight.t())


def compute_rotary_tables(max_positions: int, num_heads: int, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, H, K], in the half-split layout of Hugging Face (Su et al. 2021, RoFormer).

    The same for every head of queries and keys. The sines of the first half are negated, as ``apply_rotary`` expects.
    """
    frequencies = ROPE_THETA ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.outer(torch.arange(max_positions, dtype=torch.float64), frequencies)
    cos_TK = torch.cat((angles.cos(), angles.cos()), dim=1)
    sin_TK = torch.cat((-angles.sin(), angles.sin()), dim=1)
    cos_THK, sin_THK = (
        table[:, None].expand(-1, num_heads, -1).float().contiguous() for table in (cos_TK, sin_TK)
    )
    return cos_THK, sin_THK


def describe_llama(model: Transformer) -> dict[str, Any]:
    """The architecture as the fields of Hugging Face's LlamaConfig."""
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
