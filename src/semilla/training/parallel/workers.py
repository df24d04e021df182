"""Processes that share a step: each computes its portion of the batch on a core of its own.

Threads of one process take turns at Python's lock, and a product of this size is too small to be cut in two. Weights
and gradients are in memory that all processes see; tokens go out and losses come back through pipes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from semilla.configuration.schema import PipelineConfiguration
from semilla.training.data import Batch, TrainingData, Windows
from semilla.training.environment import DTYPES
from semilla.training.gradients import compute_batch, join_gradients
from semilla.training.micro_batches import count_processes, count_threads, cut_worker_batches
from semilla.training.muon import Muon, orthogonalize
from semilla.training.parallel.worker import (
    Answer,
    Matrices,
    Setup,
    SharedMemory,
    read_message,
    write_message,
)
from semilla.training.sampled_softmax import Counts
from semilla.training.state import RunState

COMMAND = [sys.executable, "-P", "-m", "semilla.training.parallel.worker"]


class Workers:
    """The process that trains and its helpers, as a context; after it the weights are in memory of its own again.

    Helpers take seconds to start: what is done before the first step is done meanwhile. Every number of processes draws
    the same dropout and the same negative samples; only rounding depends on ``count``. The gradients are added in a
    fixed order, so with the same ``count`` every bit is the same.
    """

    def __init__(self, config: PipelineConfiguration) -> None:
        settings = config.training_hyperparameters
        num_threads = count_threads(settings)
        batch_size, length = settings.batch_size, settings.max_sequence_length
        can_share = config.device == "cpu"
        self.count = count_processes(batch_size, length, num_threads=num_threads) if can_share else 1
        self.threads_each = max(1, num_threads // self.count)
        self._helpers: list[HelperProcess] = []
        self._shared: list[nn.Parameter] = []

    def __enter__(self) -> Self:
        self._descriptor = os.memfd_create("semilla")
        try:
            for _ in range(1, self.count):
                self._helpers.append(HelperProcess(self._descriptor))
        except BaseException:
            self.close()
            raise
        return self

    def share(self, state: RunState, data: TrainingData) -> None:
        """Once: put the weights where all processes see them, and wait until the helpers are ready for this text."""
        self._model, self._counts = state.model, data.token_counts
        parameters = list(state.model.parameters())
        shapes = [tuple(parameter.shape) for parameter in parameters]
        self.gradients = torch.zeros(sum(map(prod, shapes)), device=state.model.device)
        join_gradients(parameters, self.gradients)
        if self.count == 1:
            return
        memory = SharedMemory.create(self._descriptor, len(self.gradients), blocks=self.count)
        for parameter, shared in zip(parameters, memory.lay_out(shapes, block=0), strict=True):
            parameter.data = shared.copy_(parameter.detach())
        self._shared = parameters
        for number, helper in enumerate(self._helpers, start=1):
            setup = Setup(
                state.model.architecture.model_dump(),
                vocab_size=state.model.vocab_size,
                max_positions=state.model.max_positions,
                compute_dtype=name_dtype(state.model.compute_dtype),
                num_threads=self.threads_each,
                descriptor=self._descriptor,
                number=number,
            )
            helper.set_up(setup, memory, data.token_counts)
        for helper in self._helpers:
            helper.receive()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the helpers, who have nothing to lose."""
        for helper in self._helpers:
            helper.kill()
        self._helpers.clear()
        os.close(self._descriptor)
        for parameter in self._shared:
            parameter.data = parameter.detach().clone()
        self._shared.clear()

    @contextmanager
    def limit_threads(self) -> Iterator[None]:
        """Give this process no more threads than each helper has; more would wait in loops on the helpers' cores."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads_each)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def compute(self, batch: Batch) -> float:
        """Leave the gradient of a whole batch in ``gradients``, and so in the parameters; the loss in nats per token.

        Raises RuntimeError and MemoryError as the computation does, a helper's as one's own; MemoryError also when a
        helper was killed.
        """
        own, *others = map(batch.take_rows, cut_worker_batches(*batch.inputs.shape, count=self.count))
        helpers = self._helpers[: len(others)]
        for helper, part in zip(helpers, others, strict=True):
            helper.send(part)
        loss = compute_batch(self._model, self.gradients, own, self._counts)
        for helper in helpers:
            loss += helper.receive()
            self.gradients += helper.gradients
        return loss

    def update(self, optimizers: dict[str, torch.optim.Optimizer]) -> None:
        """A step of every optimizer; helpers make matrices orthogonal for Muon while this process does the rest."""
        muon = optimizers.get("muon")
        if not isinstance(muon, Muon):
            for optimizer in optimizers.values():
                optimizer.step()
            return
        updates = muon.begin_step()
        shares = [slice(number, None, self.count) for number in range(self.count)]
        for helper, share in zip(self._helpers, shares[1:], strict=True):
            helper.lend(updates[share], dtype=muon.compute_dtype)
        for optimizer in optimizers.values():
            if optimizer is not muon:
                optimizer.step()
        updates[shares[0]] = orthogonalize(updates[shares[0]], dtype=muon.compute_dtype)
        for helper, share in zip(self._helpers, shares[1:], strict=True):
            updates[share] = helper.receive_lent()
        muon.finish_step(updates)

    def measure_memory_mb(self) -> float:
        """What the helpers hold for themselves now, in MiB."""
        return sum(helper.measure_memory_mb() for helper in self._helpers)


class HelperProcess:
    """A process that computes portions, seen from the one that asks; it ends with that one."""

    def __init__(self, descriptor: int) -> None:
        # In a session of its own Ctrl-C does not reach it: only the process that asks decides when to stop.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(descriptor,),
            start_new_session=True,
        )

    def set_up(self, setup: Setup, memory: SharedMemory, counts: Counts) -> None:
        """Have the model built; answered when that is done."""
        self._memory, self._number = memory, setup.number
        self._lent: list[Tensor] = []
        self.gradients = memory.get_block(setup.number)
        self._send(asdict(setup), counts)

    def send(self, portion: Batch) -> None:
        """Have ``portion`` computed."""
        options = {name: value for name, value in vars(portion).items() if name not in {"inputs", "targets"}}
        self._send(options, portion.inputs, portion.targets)

    def _send(self, request: dict[str, Any], *arrays: Windows) -> None:
        assert self._process.stdin is not None
        try:
            write_message(self._process.stdin, request, *arrays)
        except BrokenPipeError as error:
            raise self._explain_end() from error

    def receive(self) -> float:
        """The answer to the oldest message that has none: a loss, or 0."""
        assert self._process.stdout is not None
        try:
            message, _ = read_message(self._process.stdout)
        except EOFError as error:
            raise self._explain_end() from error
        answer = Answer(**message)
        if answer.error:
            raise MemoryError(answer.error) if answer.is_out_of_memory else RuntimeError(answer.error)
        return answer.loss

    def lend(self, matrices: Sequence[Tensor], *, dtype: torch.dtype) -> None:
        """Have ``matrices`` made orthogonal: copies of them, in the work space."""
        shapes = [tuple(matrix.shape) for matrix in matrices]
        self._lent = self._memory.lay_out(shapes, block=self._number)
        for lent, matrix in zip(self._lent, matrices, strict=True):
            lent.copy_(matrix)
        self._send(asdict(Matrices(shapes, name_dtype(dtype))))

    def receive_lent(self) -> list[Tensor]:
        """The matrices lent last, made orthogonal; overwritten by the next portion."""
        self.receive()
        return self._lent

    def measure_memory_mb(self) -> float:
        return read_private_mb(self._process.pid)

    def kill(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):  # what was not sent is not wanted any more
                pipe.close()
        self._process.wait()

    def _explain_end(self) -> Exception:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return MemoryError("a process of the training was killed, most likely because memory ran out")
        return RuntimeError(f"a process of the training ended with status {code}")


def read_private_mb(process_id: int) -> float:
    """Resident memory in MiB that a process shares with no other."""
    lines = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def name_dtype(dtype: torch.dtype) -> str:
    """Its name in the settings."""
    return next(name for name, known in DTYPES.items() if known == dtype)
