"""A Llama decoder written down from the papers, which exported graphs must agree with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def compute_reference(weights: dict[str, Array], model: dict[str, Any], ids: Array) -> Array:
    """Logits [T, V] of a Llama decoder, written down from the papers, in float64 and without a cache."""
    heads, width = model["num_attention_heads"], model["hidden_size"]
    half = width // heads // 2

    def product(x: Array, name: str) -> Array:
        return x @ weights[f"{name}.weight"].astype(np.float64).T

    def norm(x: Array, name: str) -> Array:
        root = np.sqrt((x**2).mean(axis=1, keepdims=True) + model["rms_norm_eps"])
        return x / root * weights[f"{name}.weight"]

    def rotate(x: Array) -> Array:
        """Rotate each pair (i, i + half) as a complex number by position times theta ** (-i / half)."""
        speed = model["rope_theta"] ** (-np.arange(half) / half)
        rotated = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * np.outer(np.arange(len(x)), speed))[
            :, None
        ]
        return np.concatenate([rotated.real, rotated.imag], axis=-1)

    x = weights["model.embed_tokens.weight"][ids].astype(np.float64)
    for layer in range(model["num_hidden_layers"]):
        block = f"model.layers.{layer}"
        normed = norm(x, f"{block}.input_layernorm")
        q, k, v = (
            product(normed, f"{block}.self_attn.{n}_proj").reshape(len(ids), heads, 2 * half) for n in "qkv"
        )
        scores = np.einsum("thk,shk->hts", rotate(q), rotate(k)) / np.sqrt(2 * half)
        scores[:, np.triu(np.ones((len(ids), len(ids)), dtype=bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        mixed = np.einsum("hts,shk->thk", shares, v).reshape(len(ids), width)
        x = x + product(mixed, f"{block}.self_attn.o_proj")
        normed = norm(x, f"{block}.post_attention_layernorm")
        gate = product(normed, f"{block}.mlp.gate_proj")
        x = x + product(
            gate / (1 + np.exp(-gate)) * product(normed, f"{block}.mlp.up_proj"), f"{block}.mlp.down_proj"
        )
    output = "model.embed_tokens" if model["tie_word_embeddings"] else "lm_head"
    return product(norm(x, "model.norm"), output)


def draw_ids(model: dict[str, Any]) -> Array:
    """As many tokens as the context holds."""
    return np.random.default_rng(1).integers(3, model["vocab_size"], model["max_position_embeddings"])
