"""How large a network of a given shape is, reckoned without building it (and without torch)."""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration

PARAMETER_BYTES = 4
"""Weights are kept in float32, whatever the matrix products run in."""

QUERY_ROWS = 64
"""Positions whose scores are computed together: they look at no later ones, so a quarter of a 128 x 128 square and
almost half of a larger one need no arithmetic. With 32 the products are too small to be fast."""


def count_parameters(config: PipelineConfiguration, *, vocab_size: int | None = None) -> int:
    """Trainable numbers of the network; ``vocab_size`` when the tokenizer ended up smaller than asked for."""
    shape = config.model_architecture
    width = shape.d_model
    embedding = (vocab_size or config.tokenizer_vocab_size) * width
    attention = 4 * width * width
    feedforward = 3 * width * shape.dim_feedforward
    norms = 2 * width
    output = 0 if shape.tie_embeddings else embedding
    return embedding + shape.num_layers * (attention + feedforward + norms) + width + output


def measure_weights_mb(config: PipelineConfiguration) -> float:
    """Size of the weights in MiB."""
    return count_parameters(config) * PARAMETER_BYTES / 2**20
