"""A bundle of random weights and a real, small, bilingual tokenizer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semilla.export.bundle import write_bundle
from semilla.export.float32_graph import list_shapes
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer

SENTENCES = [
    "¿Qué haces aquí? —preguntó la niña—. ¡Mañana habrá una canción en el jardín!\n",
    "Once upon a time there was a little seed, and it wanted to see the sun.\n",
    "El pingüino cruzó el río despacio, pensando en su corazón y en el árbol.\n",
    "She laughed: the old tree had eaten her kite again, leaf by leaf.\n",
    "Había una vez una semilla que quería ver el sol 🌱.\n",
]


@cache
def train_tiny_tokenizer() -> bytes:
    """A unigram model of a few hundred pieces, all 256 bytes among them."""
    return train_tokenizer(SENTENCES, vocab_size=1000, model_type="unigram", is_size_explicit=False).model


def describe_model(**changes: Any) -> dict[str, Any]:
    """A small shape, with the names of LlamaConfig."""
    return {
        "vocab_size": Tokenizer(train_tiny_tokenizer()).vocab_size,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "max_position_embeddings": 32,
        "tie_word_embeddings": True,
        **changes,
    }


def draw_weights(model: dict[str, Any], *, seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    """Random weights, large enough that attention, positions and gates all affect the logits."""
    random = np.random.default_rng(seed)
    return {
        name: (random.standard_normal(shape) * 0.3 + (len(shape) == 1)).astype(np.float32)
        for name, shape in list_shapes(model).items()
    }


def write_tiny_bundle(
    directory: Path, *, seed: int = 0, generation: dict[str, Any] | None = None, **changes: Any
) -> Path:
    model = describe_model(**changes)
    write_bundle(
        directory,
        weights=draw_weights(model, seed=seed),
        model=model,
        tokenizer_model=train_tiny_tokenizer(),
        generation=generation or {},
        provenance={"documents": [{"title": "La niña y el río", "language": "es"}]},
        languages=("en", "es"),
        licence="CC0-1.0",
    )
    return directory
