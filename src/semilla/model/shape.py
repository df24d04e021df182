"""The size of a network, computed from its configuration without torch."""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration

PARAMETER_BYTES = 4
"""Weights are float32, also when matrix products run in bfloat16."""

QUERY_ROWS = 64
"""Queries whose attention scores are computed together, against the keys up to the last of them. This skips a quarter
of a 128 x 128 square of scores, and almost half of a larger one. With 32 the products are too small to be fast."""


def count_parameters(config: PipelineConfiguration, *, vocab_size: int | None = None) -> int:
    """Number of parameters. Pass ``vocab_size`` when the tokenizer is smaller than configured."""
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
