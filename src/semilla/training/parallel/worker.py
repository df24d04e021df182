"""A worker process: it computes parts of a batch for the training process that started it.

It is started with one end of a socket pair as standard input. Requests and answers are ``multiprocessing.connection``
messages over that socket; weights and gradients are in shared memory. The first answer says that it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import prod
from typing import Any

import torch

from semilla.errors import is_out_of_memory
from semilla.model.transformer import Transformer
from semilla.system import interrupts
from semilla.system.allocator import keep_freed_blocks
from semilla.system.connection import connect_to_parent
from semilla.training.data import Batch, HeldOutBatch
from semilla.training.evaluate import measure_batch
from semilla.training.gradients import compute_batch, join_gradients
from semilla.training.muon import orthogonalize
from semilla.training.parallel.shared_memory import Shape, SharedMemory
from semilla.training.sampled_softmax import Counts


class Worker:
    """A model on the shared weights, whose gradients are in block ``block`` of the shared memory.

    Its public methods are the requests; each returns the loss to answer with.
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

    def orthogonalize(self, shapes: Sequence[Shape], dtype: torch.dtype) -> float:
        """Make the matrices at the start of the worker's block orthogonal, in place."""
        matrices = self._memory.map_tensors(shapes, block=self._block)
        for matrix, result in zip(matrices, orthogonalize(matrices, dtype=dtype), strict=True):
            matrix.copy_(result)
        return 0.0


def answer(worker: Worker, request: str, *arguments: Any) -> dict[str, Any]:
    """Call a method of ``worker``; return its loss, or the error that it raised."""
    try:
        return {"loss": getattr(worker, request)(*arguments)}
    except (RuntimeError, MemoryError) as error:
        return {"error": str(error) or repr(error), "is_out_of_memory": is_out_of_memory(error)}


def main() -> None:
    """Answer requests until the training process is gone. It alone acts on signals that both receive."""
    interrupts.ignore_signals()
    keep_freed_blocks()
    with suppress(EOFError, ConnectionError), connect_to_parent() as connection:
        connection.send({"loss": 0.0})
        worker = Worker(**connection.recv())
        connection.send({"loss": 0.0})
        while True:
            connection.send(answer(worker, *connection.recv()))


if __name__ == "__main__":
    main()
