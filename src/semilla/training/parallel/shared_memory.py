"""Memory that the training process and its workers share: the weights, and gradients for each worker."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

Shape = tuple[int, ...]
FLOAT32_BYTES = 4


class SharedMemory:
    """Equal blocks of float32 numbers in an anonymous file, which is freed with the last process that has it open.

    Each block has room for all parameters of the model. Block 0 holds the weights; every worker has a block of its own
    for gradients and for matrices that it is sent.
    """

    def __init__(self, descriptor: int, block_size: int) -> None:
        self.block_size = block_size
        self._mapped = mmap.mmap(descriptor, 0)

    @classmethod
    def create(cls, descriptor: int, block_size: int, *, blocks: int) -> SharedMemory:
        """Give the empty file behind ``descriptor`` its size, and map it."""
        os.ftruncate(descriptor, blocks * block_size * FLOAT32_BYTES)
        return cls(descriptor, block_size)

    def get_block(self, number: int) -> Tensor:
        (block,) = self.map_tensors([(self.block_size,)], block=number)
        return block

    def map_tensors(self, shapes: Sequence[Shape], *, block: int) -> list[Tensor]:
        """Contiguous tensors of ``shapes`` from the start of a block; each fills a storage of its own."""
        tensors, start = [], block * self.block_size
        for shape in shapes:
            size, offset = prod(shape), start * FLOAT32_BYTES
            flat = torch.frombuffer(self._mapped, dtype=torch.float32, count=size, offset=offset)
            tensors.append(flat.view(shape))
            start += size
        return tensors
