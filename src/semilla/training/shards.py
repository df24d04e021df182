"""A batch cut into shards, computed one after the other: what a step needs of memory does not grow with the batch."""

from __future__ import annotations

SHARD_TOKENS = 4096
"""Tokens computed together: a batch of the default shape."""


def count_shard_rows(length: int) -> int:
    """Sequences of ``length`` tokens in a shard."""
    return max(1, SHARD_TOKENS // length)


def cut_shards(batch_size: int, length: int) -> list[slice]:
    """The rows of each shard."""
    rows = count_shard_rows(length)
    return [slice(start, min(start + rows, batch_size)) for start in range(0, batch_size, rows)]
