"""The same network and sampling in NumPy, with float32 weights and every array allocated once.

It exists only for comparison with the shipped runtime, in `run.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]


class NumpyEngine:
    def __init__(self, weights: Mapping[str, Array], model: Mapping[str, Any]) -> None:
        self.heads, self.width = model["num_attention_heads"], model["hidden_size"]
        self.layers = [
            self._read_layer(weights, f"model.layers.{i}") for i in range(model["num_hidden_layers"])
        ]
        self.embedding = np.ascontiguousarray(weights["model.embed_tokens.weight"])
        self.output = self.embedding if model["tie_word_embeddings"] else weights["lm_head.weight"]
        self.norm, self.epsilon = weights["model.norm.weight"], np.float32(model["rms_norm_eps"])
        half = self.width // self.heads // 2
        speeds = model["rope_theta"] ** -(np.arange(half) / half)
        angles = np.outer(np.arange(model["max_position_embeddings"]), speeds).astype(np.float32)
        self.cosines = np.cos(np.concatenate([angles, angles], axis=1))
        self.sines = np.sin(np.concatenate([-angles, angles], axis=1))
        shape = (len(self.layers), 2, self.heads, model["max_position_embeddings"], 2 * half)
        self.cache = np.zeros(shape, np.float32)
        self.scores = np.empty(model["vocab_size"], np.float32)

    def _read_layer(self, weights: Mapping[str, Array], prefix: str) -> dict[str, Array]:
        names = {"qkv": [f"self_attn.{n}_proj" for n in "qkv"], "o": ["self_attn.o_proj"]}
        names |= {"both": ["mlp.gate_proj", "mlp.up_proj"], "down": ["mlp.down_proj"]}
        names |= {"before": ["input_layernorm"], "after": ["post_attention_layernorm"]}
        return {
            key: np.ascontiguousarray(np.concatenate([weights[f"{prefix}.{one}.weight"] for one in parts]))
            for key, parts in names.items()
        }

    def read_token(self, token: int, position: int) -> Array:
        """Logits after one more token; the next call overwrites the array."""
        x = self.embedding[token].copy()
        for layer, cache in zip(self.layers, self.cache, strict=True):
            x += layer["o"] @ self._attend(
                layer["qkv"] @ self._normalize(x, layer["before"]), cache, position
            )
            both = layer["both"] @ self._normalize(x, layer["after"])
            gate, up = both[: len(both) // 2], both[len(both) // 2 :]
            x += layer["down"] @ (gate / (1 + np.exp(-gate)) * up)
        return np.dot(self.output, self._normalize(x, self.norm), out=self.scores)

    def _normalize(self, x: Array, gain: Array) -> Array:
        return x * (gain / np.sqrt(x.dot(x) / np.float32(self.width) + self.epsilon))

    def _attend(self, qkv: Array, cache: Array, position: int) -> Array:
        split = qkv.reshape(3, self.heads, -1)
        rotated = split[:2]
        swapped = np.roll(rotated, rotated.shape[2] // 2, axis=2)
        query, key = rotated * self.cosines[position] + swapped * self.sines[position]
        cache[0, :, position], cache[1, :, position] = key, split[2]
        keys, values = cache[:, :, : position + 1]
        scores = (keys @ query[:, :, None])[:, :, 0] * np.float32(query.shape[1] ** -0.5)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return (shares[:, None] @ values).reshape(-1)


def choose(scores: Array, seen: list[int], settings: Any, random: Random) -> int:
    """Sample a token: repetition penalty, top-k, temperature, top-p."""
    before = scores[seen]
    scores[seen] = np.minimum(before / settings.repetition_penalty, before * settings.repetition_penalty)
    scores[:2] = -np.inf
    best = np.argpartition(scores, -settings.top_k)[-settings.top_k :]
    best = best[np.argsort(-scores[best])]
    weights = np.exp((scores[best] - scores[best[0]]).astype(np.float64) / settings.temperature)
    bounds = weights.cumsum()
    kept = bounds[: int(bounds.searchsorted(settings.top_p * bounds[-1])) + 1]
    return int(best[min(int(kept.searchsorted(random.random() * kept[-1], side="right")), len(kept) - 1)])
