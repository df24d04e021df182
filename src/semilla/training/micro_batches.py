"""How the rows of a batch are divided between worker processes, and each process's share into micro-batches.

Both are cut where groups of targets begin, so every group is computed whole, wherever the cuts are. The negative
samples of a group are then the same for any number of workers.
"""

from __future__ import annotations

from itertools import pairwise

from semilla.configuration.schema import TrainingHyperparameters
from semilla.system.processor import count_cores
from semilla.system.ranks import read_place

CHUNK_ROWS = 512
"""Rows of logits computed at a time. The fastest of 256 to 4,096 on a processor with 2 x 1 MB of level-2 cache."""
MICRO_BATCH_TOKENS = 4096
"""Tokens of a micro-batch: one batch of the default shape. It bounds the memory of a step for any batch size."""
DEVICE_TOKENS = 16_384
"""The same on a GPU. With 32,000 pieces, their logits and the gradients of these take about 6 GB."""
MIN_WORKER_TOKENS = 1024
"""With fewer tokens, a worker spends longer on starting operations than on computing them."""
GROUP_TARGETS = 256
"""Targets that share negative samples, at most. Smaller groups have fewer logits to compute, and more of the negatives
are rare tokens that compete with their targets."""


def count_group_rows(length: int) -> int:
    """Rows of ``length`` tokens in a group of targets; 1 when a row is a group or is divided into several."""
    return max(1, GROUP_TARGETS // length)


def cut_target_groups(num_rows: int, length: int) -> list[tuple[slice, int]]:
    """Divide the targets of ``num_rows`` rows into runs of groups of one size: each run, and the size of its groups.

    A group is a whole number of rows, or up to ``GROUP_TARGETS`` consecutive targets of a longer row. The first of the
    rows begins a group.
    """
    size = count_group_rows(length) * length if length <= GROUP_TARGETS else GROUP_TARGETS
    num_targets = num_rows * length
    run = num_targets if length <= size or length % size == 0 else length
    runs = []
    for start in range(0, num_targets, run):
        remainder = start + run // size * size
        runs += [(slice(start, remainder), size), (slice(remainder, start + run), run % size)]
    return [(targets, size) for targets, size in runs if targets.start < targets.stop]


def count_micro_batch_rows(length: int) -> int:
    """Rows of ``length`` tokens in a micro-batch: whole groups of targets."""
    group_rows = count_group_rows(length)
    return max(group_rows, MICRO_BATCH_TOKENS // length // group_rows * group_rows)


def cut_micro_batches(batch_size: int, length: int) -> list[slice]:
    """The rows of each micro-batch."""
    rows = count_micro_batch_rows(length)
    return [slice(start, min(start + rows, batch_size)) for start in range(0, batch_size, rows)]


def count_threads(settings: TrainingHyperparameters) -> int:
    """Threads for training in this process: the number in the settings, or its share of the available processors."""
    return settings.num_threads or max(1, count_cores() // read_place().local_size)


def count_processes(batch_size: int, length: int, *, num_threads: int) -> int:
    """Processes that share a step: one per thread, as far as the batch is large enough."""
    return max(1, min(num_threads, batch_size, batch_size * length // MIN_WORKER_TOKENS))


def cut_worker_batches(batch_size: int, length: int, *, count: int) -> list[slice]:
    """The rows of each process: at most ``count`` slices, none empty; their sizes differ by at most one group."""
    group_rows = count_group_rows(length)
    num_groups = -(-batch_size // group_rows)
    ends = [min(-(-num_groups * number // count) * group_rows, batch_size) for number in range(count + 1)]
    return [slice(*pair) for pair in pairwise(ends) if pair[0] < pair[1]]
