"""A batch cut into shards, and the threads that compute them side by side.

Two threads that each take a shard from the first layer to the last wait for each other once a step; two that share
every product wait at every product, and gained a third where these gain four fifths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

SHARD_TOKENS = 2048
"""Tokens computed together: what a layer makes of them fits a processor's second-level cache."""

Part = TypeVar("Part")
Result = TypeVar("Result")


def count_shard_rows(length: int) -> int:
    """Sequences of ``length`` tokens in a shard."""
    return max(1, SHARD_TOKENS // length)


def cut_shards(batch_size: int, length: int) -> list[slice]:
    """The rows of each shard; they depend on the shape of the batch alone, not on the number of threads."""
    rows = count_shard_rows(length)
    return [slice(start, min(start + rows, batch_size)) for start in range(0, batch_size, rows)]


class Workers:
    """Threads for up to ``num_shards`` shards, among which those that torch may use are divided."""

    def __init__(self, num_shards: int) -> None:
        self.num_workers = min(num_shards, torch.get_num_threads())
        self._threads_each = torch.get_num_threads() // self.num_workers
        self._pool: ThreadPoolExecutor | None = None

    def map(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """The results of all parts, in their order; each may be let go before the next is made."""
        if self.num_workers == 1:
            return map(work, parts)
        if self._pool is None:
            # torch counts threads per thread: the one that calls keeps all of its own.
            self._pool = ThreadPoolExecutor(
                self.num_workers, "shard", initializer=torch.set_num_threads, initargs=(self._threads_each,)
            )
        return self._pool.map(work, parts)
