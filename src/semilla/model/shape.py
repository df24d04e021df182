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
    return count_llama_parameters(
        vocab_size=vocab_size or config.tokenizer_vocab_size,
        hidden_size=shape.d_model,
        intermediate_size=shape.dim_feedforward,
        num_hidden_layers=shape.num_layers,
        tie_word_embeddings=shape.tie_embeddings,
    )


def count_llama_parameters(
    *,
    vocab_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_hidden_layers: int,
    tie_word_embeddings: bool,
) -> int:
    """Number of parameters of a network described in the words of Hugging Face's LlamaConfig."""
    embedding = vocab_size * hidden_size
    attention = 4 * hidden_size * hidden_size
    feedforward = 3 * hidden_size * intermediate_size
    norms = 2 * hidden_size
    output = 0 if tie_word_embeddings else embedding
    return embedding + num_hidden_layers * (attention + feedforward + norms) + hidden_size + output


def measure_weights_mb(config: PipelineConfiguration) -> float:
    """Size of the weights in MiB."""
    return count_parameters(config) * PARAMETER_BYTES / 2**20
