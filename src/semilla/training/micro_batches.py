"""A batch cut into portions, one for each process, and those into shards, computed one after the other.

What a step needs of memory does not grow with the batch.
"""

from __future__ import annotations

import os
from itertools import pairwise

from semilla.configuration.schema import TrainingHyperparameters

CHUNK_ROWS = 512
"""Rows of logits at a time: measured best of 256 to 4,096 on a processor with 2 x 1 MB of second-level cache."""
SHARD_TOKENS = 4096
"""Tokens computed together: a batch of the default shape."""
LEAST_PORTION_TOKENS = 1024
"""With fewer, starting the operations takes longer than what they compute."""


def count_shard_rows(length: int) -> int:
    """Sequences of ``length`` tokens in a shard."""
    return max(1, SHARD_TOKENS // length)


def cut_shards(batch_size: int, length: int) -> list[slice]:
    """The rows of each shard."""
    rows = count_shard_rows(length)
    return [slice(start, min(start + rows, batch_size)) for start in range(0, batch_size, rows)]


def count_threads(settings: TrainingHyperparameters) -> int:
    """Threads that training has: as many as asked for, or as there are processors."""
    return settings.num_threads or len(os.sched_getaffinity(0))


def count_portions(batch_size: int, length: int, *, num_threads: int) -> int:
    """Processes that share a step: as many as there are threads, if the batch is worth it."""
    return max(1, min(num_threads, batch_size, batch_size * length // LEAST_PORTION_TOKENS))


def cut_portions(batch_size: int, count: int) -> list[slice]:
    """The rows of each portion, at most ``count`` of them and none empty; the first may have one row more."""
    ends = [-(-batch_size * number // count) for number in range(count + 1)]
    return [slice(*pair) for pair in pairwise(ends) if pair[0] < pair[1]]
