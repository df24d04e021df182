"""The network in plain PyTorch: to learn from, and to check the fast version in ``transformer`` against.

Both have the same parameters under the same names (those of Hugging Face's LlamaForCausalLM), so the weights of one
load into the other. Shape suffixes: B batch, T position, D d_model, H head, K head width, F feed-forward width,
V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semilla.configuration.schema import ModelArchitecture

NORM_EPSILON = 1e-5
ROPE_THETA = 10_000.0


class ReferenceTransformer(nn.Module):
    """Token ids [B, T] in, logits [B, T, V] out (Touvron et al. 2023, https://arxiv.org/abs/2302.13971)."""

    def __init__(self, architecture: ModelArchitecture, *, vocab_size: int) -> None:
        super().__init__()
        self.model = Decoder(architecture, vocab_size=vocab_size)
        if not architecture.tie_embeddings:
            self.lm_head = nn.Linear(architecture.d_model, vocab_size, bias=False)

    def forward(self, ids_BT: Tensor) -> Tensor:
        output = self.lm_head if hasattr(self, "lm_head") else self.model.embed_tokens
        return F.linear(self.model(ids_BT), output.weight)


class Decoder(nn.Module):
    """Token ids in, hidden states [B, T, D] out."""

    def __init__(self, architecture: ModelArchitecture, *, vocab_size: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, architecture.d_model)
        self.layers = nn.ModuleList(Layer(architecture) for _ in range(architecture.num_layers))
        self.norm = nn.RMSNorm(architecture.d_model, eps=NORM_EPSILON)

    def forward(self, ids_BT: Tensor) -> Tensor:
        hidden_BTD = self.embed_tokens(ids_BT)
        for layer in self.layers:
            hidden_BTD = layer(hidden_BTD)
        return self.norm(hidden_BTD)  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Attention, then feed-forward. Each reads a normalised copy of the residual stream and adds to it."""

    def __init__(self, architecture: ModelArchitecture) -> None:
        super().__init__()
        width = architecture.d_model
        self.input_layernorm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.self_attn = Attention(width, architecture.num_heads)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.mlp = FeedForward(width, architecture.dim_feedforward)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        hidden_BTD = hidden_BTD + self.self_attn(self.input_layernorm(hidden_BTD))
        return hidden_BTD + self.mlp(self.post_attention_layernorm(hidden_BTD))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Each position takes a weighted mean of the values at its own and all earlier positions."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(d_model, d_model, bias=False) for _ in range(4)
        )

    def forward(self, x_BTD: Tensor) -> Tensor:
        q_BHTK, k_BHTK, v_BHTK = (
            projection(x_BTD).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed_BHTK = F.scaled_dot_product_attention(
            apply_rotary(q_BHTK), apply_rotary(k_BHTK), v_BHTK, is_causal=True
        )
        return self.o_proj(mixed_BHTK.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, https://arxiv.org/abs/2002.05202)."""

    def __init__(self, d_model: int, dim_feedforward: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(d_model, dim_feedforward, bias=False)
        self.up_proj = nn.Linear(d_model, dim_feedforward, bias=False)
        self.down_proj = nn.Linear(dim_feedforward, d_model, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))  # type: ignore[no-any-return]


def apply_rotary(x_BHTK: Tensor) -> Tensor:
    """Rotate the pair (k, k + K/2) at position t by t / theta^(2k/K) (Su et al. 2021, RoFormer)."""
    length, width = x_BHTK.shape[-2:]
    frequencies = ROPE_THETA ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles_TK = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    cos_TK, sin_TK = angles_TK.cos().to(x_BHTK), angles_TK.sin().to(x_BHTK)
    first, second = x_BHTK.chunk(2, dim=-1)
    return torch.cat((first * cos_TK - second * sin_TK, second * cos_TK + first * sin_TK), dim=-1)
