"""A batch cut into shards, each computed from the first layer to the last by itself."""

from __future__ import annotations

SHARD_TOKENS = 2048
"""Tokens computed together: what a layer makes of them fits a processor's second-level cache."""


def count_shard_rows(length: int) -> int:
    """Sequences of ``length`` tokens in a shard."""
    return max(1, SHARD_TOKENS // length)


def cut_shards(batch_size: int, length: int) -> list[slice]:
    """The rows of each shard; they depend on the shape of the batch alone, not on the number of threads."""
    rows = count_shard_rows(length)
    return [slice(start, min(start + rows, batch_size)) for start in range(0, batch_size, rows)]
