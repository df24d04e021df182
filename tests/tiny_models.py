"""Networks of random weights for export: every shape and every type of tokenizer, without training a network."""

from __future__ import annotations

import torch
from tiny_bundle import SENTENCES

from semilla.configuration.schema import ModelArchitecture
from semilla.export.trained_model import TrainedModel
from semilla.model.transformer import Transformer, initialize_weights
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer


def make_model(
    *,
    d_model: int = 64,
    num_heads: int = 4,
    tie_embeddings: bool = True,
    model_type: str = "unigram",
    seed: int = 1,
) -> TrainedModel:
    """A small random model; norms and embeddings are spread, so forgetting one of them shows."""
    tokenizer = train_tokenizer(SENTENCES, vocab_size=1000, model_type=model_type, is_size_explicit=False)
    architecture = ModelArchitecture(
        d_model=d_model, num_heads=num_heads, dim_feedforward=128, tie_embeddings=tie_embeddings
    )
    network = Transformer(architecture, vocab_size=Tokenizer(tokenizer.model).vocab_size, max_positions=32)
    generator = torch.Generator().manual_seed(seed)
    initialize_weights(network, generator=generator)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return TrainedModel(network.eval(), tokenizer.model, tuple(SENTENCES), version="1.0.0")
