"""How much memory training will take, before it takes it. Arithmetic only: nothing here imports torch.

The terms are counted from the shapes; the constants are measured (``tests/training/test_memory.py`` holds the estimate
against measured peaks).
"""

from __future__ import annotations

from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.corpus.catalogue import expect_size_mb
from semilla.model.shape import QUERY_ROWS, count_parameters
from semilla.system.memory import measure_available_mb
from semilla.training.micro_batches import (
    CHUNK_ROWS,
    count_processes,
    count_threads,
    cut_micro_batches,
    cut_worker_batches,
)

MIB = 1024 * 1024
BASE_MB = 328.0
"""A process with Python and torch and a first step's worth of workspace."""
HELPER_MB = 165.0
"""The same of a process that helps, beyond what it shares with the first."""
CORPUS_FACTOR = 8.0
"""Text, its token ids, and what encoding it takes, per byte of corpus."""


def estimate_training_memory_mb(config: PipelineConfiguration) -> float:
    """Peak resident memory of training in MiB, all its processes together.

    The factors are a least-squares fit to the measured peaks of 27 shapes (1 to 12 layers, width 64 to 512, context 32
    to 2,048, 1,000 to 32,000 pieces, both number formats, one thread and two), all of which it meets within 15 %. What
    an embedding takes is in the factor of the logits, for both grow with the vocabulary.
    """
    architecture, settings = config.model_architecture, config.training_hyperparameters
    width, length = architecture.d_model, settings.max_sequence_length
    number_bytes = 2 if computes_in_bfloat16(settings) else 4
    count = count_processes(settings.batch_size, length, num_threads=count_threads(settings))
    worker_rows = cut_worker_batches(settings.batch_size, length, count=count)[0]
    tokens = cut_micro_batches(worker_rows.stop, length)[0].stop * length
    activations = 20.9 * architecture.num_layers * width * tokens
    keys_seen = min(length, (length + QUERY_ROWS) / 2)
    scores = 1.7 * architecture.num_layers * architecture.num_heads * keys_seen * tokens
    logits = 9.5 * min(tokens, CHUNK_ROWS) * config.tokenizer_vocab_size
    embeddings = config.tokenizer_vocab_size * width * (1 if architecture.tie_embeddings else 2)
    matrices = 7.4 * (count_parameters(config) - embeddings)
    batch = 5.8 * settings.batch_size * length * width
    corpus_mb = expect_size_mb(config.corpus_source, config.corpus_size_mb)
    shared = (count - 1) * count_parameters(config)
    bytes_needed: float = count * number_bytes * (activations + scores + logits) + 4 * (
        matrices + batch + shared
    )
    return BASE_MB + (count - 1) * HELPER_MB + CORPUS_FACTOR * corpus_mb + bytes_needed / MIB


def computes_in_bfloat16(settings: TrainingHyperparameters) -> bool:
    """Will matrix products run in bfloat16? With ``auto``, where the processor has instructions for it."""
    if settings.precision != "auto":
        return settings.precision == "bfloat16"
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def find_fitting_batch_size(config: PipelineConfiguration, *, budget_mb: float) -> int | None:
    """The largest batch size whose estimate stays within ``budget_mb``; None when even one sequence does not."""
    for batch_size in range(config.training_hyperparameters.batch_size, 0, -1):
        if estimate_training_memory_mb(with_settings(config, batch_size=batch_size)) <= budget_mb:
            return batch_size
    return None


def with_settings(config: PipelineConfiguration, **changes: int) -> PipelineConfiguration:
    """The same configuration with other hyperparameters of training."""
    settings = config.training_hyperparameters.model_copy(update=changes)
    return config.model_copy(update={"training_hyperparameters": settings})


def suggest_batch_size(config: PipelineConfiguration) -> int:
    """A smaller batch size to try after memory ran out: what the estimate allows now, at most half."""
    half = max(1, config.training_hyperparameters.batch_size // 2)
    fitting = find_fitting_batch_size(
        with_settings(config, batch_size=half), budget_mb=0.9 * measure_available_mb()
    )
    return fitting or 1
