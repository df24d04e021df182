"""A process that computes portions of a batch for the one that started it.

Started as ``python -m semilla.training.parallel.worker``.

Weights and gradients are in memory that both see. Requests come on standard input, answers go to standard output: lines
of JSON, those with tokens followed by the tokens.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import prod
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from semilla.configuration.schema import ModelArchitecture
from semilla.errors import is_out_of_memory
from semilla.model.transformer import Transformer
from semilla.system.allocator import keep_freed_blocks
from semilla.training.data import Batch, Windows
from semilla.training.environment import DTYPES
from semilla.training.gradients import compute_batch, join_gradients
from semilla.training.muon import orthogonalize
from semilla.training.sampled_softmax import Counts

Shape = tuple[int, ...]
NUMBER_BYTES = 4


@dataclass(frozen=True)
class Setup:
    """All that a helper needs to begin; its gradients are block ``number`` of the memory behind ``descriptor``."""

    architecture: dict[str, Any]
    vocab_size: int
    max_positions: int
    compute_dtype: str
    num_threads: int
    descriptor: int
    number: int

    def build_model(self) -> Transformer:
        return Transformer(
            ModelArchitecture.model_validate(self.architecture),
            vocab_size=self.vocab_size,
            max_positions=self.max_positions,
            compute_dtype=DTYPES[self.compute_dtype],
        )


@dataclass(frozen=True)
class Matrices:
    """Matrices of these shapes, at the beginning of a helper's work space, to be made orthogonal in place."""

    shapes: list[Shape]
    dtype: str


@dataclass(frozen=True)
class Answer:
    """What a helper sends back."""

    loss: float = 0.0
    error: str = ""
    is_out_of_memory: bool = False


class SharedMemory:
    """Blocks of as many float32 numbers as the model has: first the weights, then work space for each helper."""

    def __init__(self, descriptor: int, block_size: int) -> None:
        self.block_size = block_size
        self._mapped = mmap.mmap(descriptor, 0)

    @classmethod
    def create(cls, descriptor: int, block_size: int, *, blocks: int) -> SharedMemory:
        """Give the empty file behind ``descriptor`` its size."""
        os.ftruncate(descriptor, blocks * block_size * NUMBER_BYTES)
        return cls(descriptor, block_size)

    def get_block(self, number: int) -> Tensor:
        """All numbers of a block."""
        (block,) = self.lay_out([(self.block_size,)], block=number)
        return block

    def lay_out(self, shapes: Sequence[Shape], *, block: int) -> list[Tensor]:
        """Tensors of ``shapes``, one after the other from the beginning of a block; each is all of its storage."""
        tensors, start = [], block * self.block_size
        for shape in shapes:
            size, offset = prod(shape), start * NUMBER_BYTES
            flat = torch.frombuffer(self._mapped, dtype=torch.float32, count=size, offset=offset)
            tensors.append(flat.view(shape))
            start += size
        return tensors


def write_message(stream: IO[bytes], message: dict[str, Any], *arrays: Windows) -> None:
    """A line of JSON, and after it the bytes of arrays of 64-bit integers."""
    line = {"message": message, "shapes": [array.shape for array in arrays]}
    stream.write(json.dumps(line).encode() + b"\n")
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], list[Windows]]:
    """What ``write_message`` wrote; raises EOFError when the other side is gone."""
    header = stream.readline()
    if not header.endswith(b"\n"):
        raise EOFError
    line = json.loads(header)
    arrays = []
    for shape in line["shapes"]:
        content = bytearray(8 * prod(shape))
        if stream.readinto(content) < len(content):  # type: ignore[attr-defined]
            raise EOFError
        arrays.append(np.frombuffer(content, dtype=np.int64).reshape(shape))
    return line["message"], arrays


class Helper:
    """The model on the shared weights, and the work space that answers are left in."""

    def __init__(self, setup: Setup, counts: Counts) -> None:
        torch.set_num_threads(setup.num_threads)
        self.model, self.counts, self.number = setup.build_model(), counts, setup.number
        parameters = list(self.model.parameters())
        shapes = [tuple(parameter.shape) for parameter in parameters]
        self.memory = SharedMemory(setup.descriptor, sum(map(prod, shapes)))
        for parameter, shared in zip(parameters, self.memory.lay_out(shapes, block=0), strict=True):
            parameter.data = shared
        self.gradients = self.memory.get_block(self.number)
        join_gradients(parameters, self.gradients)

    def answer(self, request: dict[str, Any], arrays: list[Windows]) -> Answer:
        """Compute a portion or orthogonalise matrices, whichever was sent."""
        try:
            if arrays:
                inputs, targets = arrays
                batch = Batch(inputs, targets, **request)
                return Answer(compute_batch(self.model, self.gradients, batch, self.counts))
            self.orthogonalize(Matrices(**request))
        except (RuntimeError, MemoryError) as error:
            return Answer(error=str(error) or repr(error), is_out_of_memory=is_out_of_memory(error))
        return Answer()

    def orthogonalize(self, matrices: Matrices) -> None:
        """In place."""
        lent = self.memory.lay_out(matrices.shapes, block=self.number)
        for matrix, result in zip(lent, orthogonalize(lent, dtype=DTYPES[matrices.dtype]), strict=True):
            matrix.copy_(result)


def main() -> None:
    """Answer what comes in, until the process that sends it is gone: it also decides what a signal to all means."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    keep_freed_blocks()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError, BrokenPipeError):
        setup, (counts,) = read_message(requests)
        helper = Helper(Setup(**setup), counts)
        write_message(answers, asdict(Answer()))
        while True:
            write_message(answers, asdict(helper.answer(*read_message(requests))))


if __name__ == "__main__":
    main()
