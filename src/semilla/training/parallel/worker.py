"""A worker process: it computes parts of a batch for the training process that started it.

Requests and answers are messages over a socket (``semilla.system.connection``); weights and gradients are in shared
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch

from semilla.model.transformer import Transformer
from semilla.system.allocator import keep_freed_blocks
from semilla.training.data import Batch, HeldOutBatch
from semilla.training.evaluate import measure_batch
from semilla.training.gradients import compute_batch, join_gradients
from semilla.training.muon import orthogonalize
from semilla.training.parallel.shared_memory import Shape, SharedMemory
from semilla.training.sampled_softmax import Counts


class Worker:
    """A model on the shared weights, whose gradients are in block ``block`` of the shared memory.

    Its public methods are the requests.
    """

    def __init__(
        self, *, model: dict[str, Any], counts: Counts, num_threads: int, descriptor: int, block: int
    ) -> None:
        torch.set_num_threads(num_threads)
        self._model, self._counts, self._block = Transformer(**model), counts, block
        parameters = list(self._model.parameters())
        shapes = [tuple(parameter.shape) for parameter in parameters]
        self._memory = SharedMemory(descriptor, sum(map(prod, shapes)))
        for parameter, shared in zip(parameters, self._memory.map_tensors(shapes, block=0), strict=True):
            parameter.data = shared
        self._gradients = self._memory.get_block(block)
        join_gradients(parameters, self._gradients)

    def compute(self, batch: Batch) -> float:
        """Leave the gradient of a batch in the worker's block."""
        return compute_batch(self._model, self._gradients, batch, self._counts)

    def measure(self, batch: HeldOutBatch) -> float:
        """The summed loss of held-out text."""
        return measure_batch(self._model, batch)

    def wait(self) -> None:
        """Do nothing: the answer says that the model is built."""

    def orthogonalize(self, shapes: Sequence[Shape], dtype: torch.dtype) -> None:
        """Make the matrices at the start of the worker's block orthogonal, in place."""
        matrices = self._memory.map_tensors(shapes, block=self._block)
        for matrix, result in zip(matrices, orthogonalize(matrices, dtype=dtype), strict=True):
            matrix.copy_(result)


def make_worker(settings: dict[str, Any]) -> Callable[[tuple[Any, ...]], Any]:
    """A function that calls a method of a new worker, by its name and arguments; ``settings`` are those of Worker."""
    keep_freed_blocks()
    worker = Worker(**settings)
    return lambda request: getattr(worker, request[0])(*request[1:])
