"""How much memory training will take, before it takes it. Arithmetic only: nothing here imports torch.

The terms are counted from the shapes; the constants are measured (``tests/training/test_memory.py`` holds the estimate
against measured peaks).
"""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

import psutil

from semilla.config import PipelineConfiguration
from semilla.model.shape import count_parameters

MIB = 1024 * 1024
BASE_MB = 330.0
"""A process with Python, torch and the corpus, before the first step."""
CHUNK_ROWS = 512
"""Rows of logits held at once by the loss."""
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def estimate_training_memory_mb(config: PipelineConfiguration) -> float:
    """Peak resident memory of a training process in MiB."""
    architecture, settings = config.model_architecture, config.training_hyperparameters
    tokens = settings.batch_size * settings.max_sequence_length
    width, hidden, layers = architecture.d_model, architecture.dim_feedforward, architecture.num_layers
    number_bytes = 4.0  # bfloat16 halves this, but which one is used is only known where training runs
    per_token = layers * (22 * width + 7 * hidden) + 6 * width
    scores = 3 * layers * architecture.num_heads * tokens * settings.max_sequence_length
    logits = 2.5 * min(tokens, CHUNK_ROWS) * config.tokenizer_vocab_size
    weights = 9.0 * count_parameters(config)
    return BASE_MB + (number_bytes * (tokens * per_token + scores + logits) + 4 * weights) / MIB


def find_fitting_batch_size(config: PipelineConfiguration, *, budget_mb: float) -> int | None:
    """The largest batch size whose estimate stays within ``budget_mb``; None when even one sequence does not."""
    for batch_size in range(config.training_hyperparameters.batch_size, 0, -1):
        if estimate_training_memory_mb(with_batch_size(config, batch_size)) <= budget_mb:
            return batch_size
    return None


def with_batch_size(config: PipelineConfiguration, batch_size: int) -> PipelineConfiguration:
    """The same configuration with another batch size."""
    settings = config.training_hyperparameters.model_copy(update={"batch_size": batch_size})
    return config.model_copy(update={"training_hyperparameters": settings})


def suggest_batch_size(config: PipelineConfiguration) -> int:
    """A smaller batch size to try after memory ran out: what the estimate allows now, at most half."""
    half = max(1, config.training_hyperparameters.batch_size // 2)
    fitting = find_fitting_batch_size(with_batch_size(config, half), budget_mb=0.9 * read_available_mb())
    return fitting or 1


def read_available_mb() -> float:
    """Memory this process may still take, in MiB: the machine's, or less under a control group or a resource limit."""
    process = psutil.Process()
    used = process.memory_info().rss
    limits = [psutil.virtual_memory().available + used]
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            limits.append(int(path.read_text()))
    return min(limits) / MIB
