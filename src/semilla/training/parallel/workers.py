"""Worker processes that share each training step: every one computes a part of the batch on its own core.

Threads of one process would wait for Python's lock, and products of this size are too small to divide between cores.
Weights and gradients are in shared memory; tokens and losses are sent over sockets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from semilla.configuration.schema import PipelineConfiguration
from semilla.system import interrupts
from semilla.system.connection import AnsweringProcess, can_share_memory, open_shared_file
from semilla.system.footprint import read_private_mb
from semilla.system.processor import can_run_threads
from semilla.training.data import Batch, HeldOutBatch, TrainingData
from semilla.training.evaluate import measure_batch
from semilla.training.gradients import compute_batch, join_gradients
from semilla.training.micro_batches import count_processes, count_threads, cut_worker_batches
from semilla.training.muon import Muon, orthogonalize
from semilla.training.parallel.shared_memory import SharedMemory
from semilla.training.parallel.worker import make_worker
from semilla.training.state import RunState

if TYPE_CHECKING:
    from semilla.training.accelerator import Accelerator

GRACE_S = 10.0
"""How long a worker may be silent once the run was asked to stop."""


class Workers:
    """The training process and its worker processes, as a context; on exit the weights are in private memory again.

    Workers take seconds to start, so start them early and prepare the data meanwhile. Every number of processes draws
    the same dropout and the same negative samples; only rounding depends on ``count``. Gradients are added in a fixed
    order, so with the same ``count`` every bit is the same.

    For another device than the CPU there are no worker processes, and an ``Accelerator`` computes the gradients.
    """

    def __init__(
        self, config: PipelineConfiguration, *, num_ranks: int = 1, accelerates: bool | None = None
    ) -> None:
        settings = config.training_hyperparameters
        num_threads = count_threads(settings)
        batch_size, length = -(-settings.batch_size // num_ranks), settings.max_sequence_length
        self.accelerates = config.device != "cpu" if accelerates is None else accelerates
        self._accelerator: Accelerator | None = None
        self._has_dropout = settings.dropout > 0
        can_share = not self.accelerates and can_share_memory()
        self.count = count_processes(batch_size, length, num_threads=num_threads) if can_share else 1
        """Processes that share a step, the training process included."""
        self.threads_each = max(1, num_threads // self.count) if can_run_threads() else 1
        self.processes: list[WorkerProcess] = []
        self._shared: list[nn.Parameter] = []

    def __enter__(self) -> Self:
        self._descriptor = open_shared_file()
        try:
            for number in range(1, self.count):
                self.processes.append(WorkerProcess(self._descriptor, block=number))
        except BaseException:
            self.close()
            raise
        return self

    def share(self, state: RunState, data: TrainingData) -> None:
        """Call once before the first step: move the weights to shared memory, and wait until the workers are ready."""
        self._model, self._counts = state.model, data.token_counts
        parameters = list(state.model.parameters())
        shapes = [tuple(parameter.shape) for parameter in parameters]
        self.gradients = self._allocate(sum(map(prod, shapes)), state.model.device)
        join_gradients(parameters, self.gradients)
        if self.accelerates:
            from semilla.training.accelerator import Accelerator  # noqa: PLC0415 - the CPU needs nothing of it

            self._accelerator = Accelerator(self._model, self._counts, has_dropout=self._has_dropout)
        if self.count == 1:
            return
        memory = SharedMemory.create(self._descriptor, len(self.gradients), blocks=self.count)
        for parameter, shared in zip(parameters, memory.map_tensors(shapes, block=0), strict=True):
            parameter.data = shared.copy_(parameter.detach())
        self._shared = parameters
        model = {
            "architecture": state.model.architecture,
            "vocab_size": state.model.vocab_size,
            "max_positions": state.model.max_positions,
            "compute_dtype": state.model.compute_dtype,
        }
        for process in self.processes:
            process.set_up(memory, model=model, counts=data.token_counts, num_threads=self.threads_each)
            process.request("wait")
        for process in self.processes:
            process.receive()

    def _allocate(self, size: int, device: torch.device) -> Tensor:
        """A block for the gradients of all parameters."""
        return torch.zeros(size, device=device)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the workers; they hold no state."""
        for process in self.processes:
            process.kill()
        self.processes.clear()
        if self._accelerator:
            self._accelerator.close()
        os.close(self._descriptor)
        for parameter in self._shared:
            parameter.data = parameter.detach().clone()
        self._shared.clear()

    @contextmanager
    def limit_threads(self) -> Iterator[None]:
        """Give this process as many threads as each worker; more would spin on the workers' cores."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads_each)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def compute(self, batch: Batch) -> float:
        """Compute a whole batch: its gradient goes to the parameters and ``gradients``. Return nats per token.

        Raises RuntimeError and MemoryError as the computation does, in a worker as well as here, and the errors of
        ``AnsweringProcess.receive``.
        """
        own, *others = map(batch.take_rows, cut_worker_batches(*batch.inputs.shape, count=self.count))
        busy = self.processes[: len(others)]
        for process, part in zip(busy, others, strict=True):
            process.request("compute", part)
        if self._accelerator:
            return self._accelerator.compute_batch(self.gradients, own)
        loss = compute_batch(self._model, self.gradients, own, self._counts)
        for process in busy:
            loss += process.receive()
            self.gradients += process.gradients
        return loss

    def measure(self, batches: Iterable[HeldOutBatch]) -> Iterator[float]:
        """The summed loss of each batch of held-out text in nats, in their order; one batch for each process at a time.

        Raises like ``compute``.
        """
        waiting = iter(batches)
        with self.limit_threads():
            while group := list(islice(waiting, self.count)):
                own, *others = group
                busy = self.processes[: len(others)]
                for process, batch in zip(busy, others, strict=True):
                    process.request("measure", batch)
                yield measure_batch(self._model, own)
                yield from (process.receive() for process in busy)

    def update(self, optimizers: dict[str, torch.optim.Optimizer]) -> None:
        """Step every optimizer; workers orthogonalise matrices for Muon while this process does the rest."""
        muon = optimizers.get("muon")
        if not isinstance(muon, Muon):
            for optimizer in optimizers.values():
                optimizer.step()
            return
        matrices = muon.begin_step()
        updates = self._choose_matrices(matrices)
        own, *others = (slice(number, None, self.count) for number in range(self.count))
        for process, part in zip(self.processes, others, strict=True):
            process.send_matrices(updates[part], dtype=muon.compute_dtype)
        for optimizer in optimizers.values():
            if optimizer is not muon:
                optimizer.step()
        updates[own] = orthogonalize(updates[own], dtype=muon.compute_dtype)
        for process, part in zip(self.processes, others, strict=True):
            updates[part] = process.receive_matrices()
        muon.finish_step(self._complete_matrices(updates, matrices))

    def _choose_matrices(self, matrices: list[Tensor]) -> list[Tensor]:
        """Those that this process and its workers make orthogonal: all, without other ranks."""
        return matrices

    def _complete_matrices(self, updates: list[Tensor], matrices: list[Tensor]) -> list[Tensor]:  # noqa: ARG002
        """All orthogonal matrices, in the order of ``matrices``; ``updates`` are those that were chosen."""
        return updates

    def must_stop(self) -> bool:
        """Whether training must stop after this step because a signal asked for it."""
        return interrupts.requested()

    def agree(self, number: int) -> int:
        """The number that rank 0 has; all ranks call this together."""
        return number

    def measure_memory_mb(self) -> float:
        """Private memory of the workers now, in MiB."""
        return sum(read_private_mb(process.pid) for process in self.processes)


class WorkerProcess(AnsweringProcess):
    """One worker, seen from the training process."""

    def __init__(self, descriptor: int, *, block: int) -> None:
        super().__init__(make_worker, grace_s=GRACE_S, shared=descriptor)
        self.descriptor, self.block = descriptor, block
        self._matrices: list[Tensor] = []

    def set_up(self, memory: SharedMemory, **settings: Any) -> None:
        """Send the arguments of ``worker.Worker``."""
        self._memory, self.gradients = memory, memory.get_block(self.block)
        self.send({**settings, "descriptor": self.descriptor, "block": self.block})

    def request(self, name: str, *arguments: Any) -> None:
        """Request a method of ``worker.Worker``."""
        self.send((name, *arguments))

    def send_matrices(self, matrices: Sequence[Tensor], *, dtype: torch.dtype) -> None:
        """Copy ``matrices`` into the worker's block, and request that they are made orthogonal."""
        shapes = [tuple(matrix.shape) for matrix in matrices]
        self._matrices = self._memory.map_tensors(shapes, block=self.block)
        for shared, matrix in zip(self._matrices, matrices, strict=True):
            shared.copy_(matrix)
        self.request("orthogonalize", shapes, dtype)

    def receive_matrices(self) -> list[Tensor]:
        """The orthogonal matrices, in the worker's block: its next batch overwrites them."""
        self.receive()
        return self._matrices
