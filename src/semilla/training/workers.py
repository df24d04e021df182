"""Threads that compute shards side by side.

Two threads that each take a shard from the first layer to the last wait for each other once a step; two that share
every product wait at every product, which costs most where another program is busy too. What a step needs of memory
then grows with the threads, not with the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


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
