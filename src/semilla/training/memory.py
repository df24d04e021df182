"""Estimate the memory that training will take. Arithmetic only, without torch.

The terms follow from the shapes, and the constants are measured. ``tests/training/test_memory.py`` compares the
estimate with measured peaks.
"""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.corpus.catalogue import expect_size_mb
from semilla.model.shape import QUERY_ROWS, count_parameters
from semilla.system.memory import has_cuda_build, measure_available_mb
from semilla.system.processor import list_instruction_sets
from semilla.system.ranks import read_place
from semilla.training.micro_batches import (
    CHUNK_ROWS,
    DEVICE_TOKENS,
    count_processes,
    count_threads,
    cut_micro_batches,
    cut_worker_batches,
)

MIB = 1024 * 1024
BASE_MB = 138.0
"""A process with Python, NumPy and the workspace of a first step, without torch."""
TORCH_MB = {False: 190.0, True: 574.0}
"""What torch takes where its import was not measured, without CUDA and in a build with it, whether or not that finds a
GPU. The second includes what training uses beyond the import; it is the mean of four shapes."""
RUN_MB = 250.0
"""What a run takes beyond the steps of its training: samples, checkpoints and the validation. Measured with models of
30,000 to 3,400,000 parameters: 90 to 350 MB."""
ESTIMATE_ERROR = 0.15
"""How far the estimate may be from the measured peak. A batch size is only suggested if it fits even then."""
WORKER_MB = 165.0
"""The same for a worker process, beyond what it shares with the training process."""
CORPUS_FACTOR = 8.0
"""Text, token ids and the memory of encoding, per byte of corpus."""


def estimate_training_memory_mb(config: PipelineConfiguration, *, torch_mb: float | None = None) -> float:
    """Peak resident memory of training in MiB, all its processes on this machine together.

    ``torch_mb`` is what importing torch takes here; without it, the usual figure of the installed build counts.

    The factors are a least-squares fit to the measured peaks of 27 shapes (1 to 12 layers, width 64 to 512, context 32
    to 2,048, 1,000 to 32,000 pieces, both precisions, one thread and two), and within 15 % of each. The factor of the
    logits includes the embedding's memory, because both grow with the vocabulary.
    """
    architecture, settings = config.model_architecture, config.training_hyperparameters
    width, length = architecture.d_model, settings.max_sequence_length
    number_bytes = 2 if computes_in_bfloat16(settings) else 4
    place = read_place()
    batch_size = -(-settings.batch_size // place.size)
    count = count_processes(batch_size, length, num_threads=count_threads(settings))
    worker_rows = cut_worker_batches(batch_size, length, count=count)[0]
    tokens = cut_micro_batches(worker_rows.stop, length)[0].stop * length
    activations = 20.9 * architecture.num_layers * width * tokens
    keys_seen = min(length, (length + QUERY_ROWS) / 2)
    scores = 1.7 * architecture.num_layers * architecture.num_heads * keys_seen * tokens
    logits = 9.5 * min(tokens, CHUNK_ROWS) * config.tokenizer_vocab_size
    embeddings = config.tokenizer_vocab_size * width * (1 if architecture.tie_embeddings else 2)
    matrices = 7.4 * (count_parameters(config) - embeddings)
    batch = 5.8 * batch_size * length * width
    corpus_mb = expect_size_mb(config.corpus_source, config.corpus_size_mb)
    shared = (count - 1) * count_parameters(config)
    bytes_needed: float = count * number_bytes * (activations + scores + logits) + 4 * (
        matrices + batch + shared
    )
    if torch_mb is None:
        torch_mb = TORCH_MB[has_cuda_build()]
    rank_mb = BASE_MB + torch_mb + (count - 1) * WORKER_MB + CORPUS_FACTOR * corpus_mb + bytes_needed / MIB
    return place.local_size * rank_mb


def estimate_run_memory_mb(config: PipelineConfiguration, *, torch_mb: float | None = None) -> float:
    """Peak resident memory of a whole run in MiB, all its processes together."""
    return estimate_training_memory_mb(config, torch_mb=torch_mb) + RUN_MB


def computes_in_bfloat16(settings: TrainingHyperparameters) -> bool:
    """Tell whether matrix products run in bfloat16. ``auto`` counts as bfloat16 on processors with its instructions."""
    if settings.precision != "auto":
        return settings.precision == "bfloat16"
    return bool({"avx512_bf16", "amx_bf16"} & list_instruction_sets())


def find_fitting_batch_size(
    config: PipelineConfiguration, *, budget_mb: float, torch_mb: float | None = None
) -> int | None:
    """The largest batch size that surely stays within ``budget_mb``; None when one sequence may already exceed it."""
    for batch_size in range(config.training_hyperparameters.batch_size, 0, -1):
        need_mb = estimate_run_memory_mb(config.change(batch_size=batch_size), torch_mb=torch_mb)
        if need_mb * (1 + ESTIMATE_ERROR) <= budget_mb:
            return batch_size
    return None


def suggest_batch_size(config: PipelineConfiguration) -> int | None:
    """A smaller batch size to try after running out of memory: as large as the estimate allows, at most half.

    On a GPU, whose memory is not estimated: at most half of the present batch, and of a micro-batch.

    None when the batch is a single sequence already.
    """
    half = config.training_hyperparameters.batch_size // 2
    if not half:
        return None
    if config.device != "cpu":
        return min(half, max(1, DEVICE_TOKENS // 2 // config.training_hyperparameters.max_sequence_length))
    fitting = find_fitting_batch_size(config.change(batch_size=half), budget_mb=0.9 * measure_available_mb())
    return fitting or 1
