"""The ranks of one training, forked as torchrun starts them. Another process holds their store."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import torch
from tiny_training import configure, fork, train
from torch.distributed import TCPStore

from semilla.errors import SemillaError, translate_error
from semilla.events import Event, StepDone
from semilla.pipeline.ranked_run import follow, lead
from semilla.system.ranks import read_place
from semilla.terminal.console import print_error

TIMEOUT_S = 600
"""Ranks that take longer hang."""
PAUSE_S = 0.03
"""After every step, so that a training does not end before a test has disturbed it."""


class Launch:
    """``size`` forked processes that each do ``act`` and end with its exit code; their output is in ``logs``."""

    started: ClassVar[list[Launch]] = []

    def __init__(self, act: Callable[[], int], *, size: int, logs: Path, restarts: int = 0) -> None:
        self.size, self.logs = size, logs
        logs.mkdir(parents=True, exist_ok=True)
        self.store_pid, port = start_store()
        place = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "TORCHELASTIC_RESTART_COUNT": restarts}
        place |= {"MASTER_PORT": port, "MASTER_ADDR": "127.0.0.1"}
        self.environment = {name: str(value) for name, value in place.items()}
        self.codes: dict[int, int] = {}
        self.pids = [self._start(act, rank) for rank in range(size)]
        Launch.started.append(self)

    def _start(self, act: Callable[[], int], rank: int) -> int:
        child = fork()
        if child:
            return child
        code = 70
        try:
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            shared = {"TORCHELASTIC_RUN_ID": "tests", "TORCHELASTIC_USE_AGENT_STORE": "True"}
            os.environ.update({**self.environment, **own, **shared})
            sys.stdout = sys.stderr = (self.logs / f"{rank}.log").open("w", encoding="utf-8")
            # What torch prints in C++ is apart; the command silences it before it imports torch.
            os.dup2(os.open(self.logs / f"{rank}.torch", os.O_WRONLY | os.O_CREAT), 2)
            torch.set_num_threads(1)
            code = act()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def kill(self, rank: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one rank, which may have ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pids[rank], number)

    def wait(self) -> list[int]:
        """The exit code of each rank. When one fails, the others get SIGTERM, as from torchrun."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while len(self.codes) < self.size:
            for rank, pid in enumerate(self.pids):
                self._reap(rank, pid)
            if time.monotonic() > deadline_s:
                for rank in self.list_alive():
                    self.kill(rank)
            time.sleep(0.01)
        if self.store_pid:
            self.close_store()
        return [self.codes[rank] for rank in range(self.size)]

    @classmethod
    def clear(cls) -> None:
        """End what a failed test has left."""
        for launch in cls.started:
            for rank in launch.list_alive():
                launch.kill(rank)
            launch.wait()
        cls.started.clear()

    def list_alive(self) -> list[int]:
        return [rank for rank in range(self.size) if rank not in self.codes]

    def await_end(self, rank: int) -> None:
        """Wait until one rank has ended, while the others may hang."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while rank not in self.codes and time.monotonic() < deadline_s:
            self._reap(rank, self.pids[rank])
            time.sleep(0.01)

    def close_store(self) -> None:
        """Close the port of the store and every connection to it."""
        os.kill(self.store_pid, signal.SIGKILL)
        os.waitpid(self.store_pid, 0)
        self.store_pid = 0

    def wait_for_steps(self, number: int, directory: Path) -> None:
        """Wait until rank 0 has reported this many steps of the run in ``directory``, over all attempts."""
        path = directory.parent / "losses.jsonl"
        deadline_s = time.monotonic() + TIMEOUT_S
        while not path.exists() or path.read_bytes().count(b"\n") < number:
            self._reap(0, self.pids[0])
            assert time.monotonic() < deadline_s, self.read_log(0)
            assert 0 not in self.codes, self.read_log(0)
            time.sleep(0.005)

    def read_log(self, rank: int) -> str:
        return (self.logs / f"{rank}.log").read_text(encoding="utf-8")

    def _reap(self, rank: int, pid: int) -> None:
        if rank in self.codes:
            return
        found, status = os.waitpid(pid, os.WNOHANG)
        if not found:
            return
        is_first = not any(self.codes.values())
        self.codes[rank] = os.waitstatus_to_exitcode(status)
        if self.codes[rank] and is_first:
            for other in self.list_alive():
                self.kill(other, signal.SIGTERM)


def start_store() -> tuple[int, int]:
    """Start a process that holds a store, as torchrun does; return its id and the port."""
    reading, writing = os.pipe()
    child = fork()
    if child == 0:
        try:
            store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
            os.write(writing, str(store.port).encode())
            signal.pause()
        finally:
            os._exit(0)
    port = int(os.read(reading, 10))
    os.close(reading)
    os.close(writing)
    return child, port


def train_ranks(
    directory: Path,
    *,
    size: int,
    restarts: int = 0,
    prepare: Callable[[int], object] = bool,
    plan: Callable[[], object] = bool,
    last: dict[str, Any] | None = None,
    **changes: Any,
) -> Launch:
    """Start phase 4 on ``size`` ranks. Rank 0 appends the loss of every step to ``losses.jsonl`` beside the run.

    ``prepare`` is first called in every rank, with its number, and ``plan`` in rank 0 before the training. The last
    rank alone has the changes ``last``.
    """

    def act() -> int:
        rank = read_place().rank
        prepare(rank)
        config = configure(directory, **changes, **((last or {}) if rank == size - 1 else {}))
        try:
            if rank:
                return follow(config)
            with lead(config), in_phase_4():
                plan()
                train(directory, progress=record_losses(directory.parent / "losses.jsonl"), **changes)
        except SemillaError as error:
            print_error(error, command="run")
            return error.status
        return 0

    return Launch(act, size=size, restarts=restarts, logs=directory.parent / "logs")


@contextmanager
def in_phase_4() -> Iterator[None]:
    """Errors are the phase's, as in a whole run."""
    try:
        yield
    except Exception as error:
        failure = translate_error(error)
        failure.phase = "model_training"
        raise failure from error


def record_losses(path: Path) -> Callable[[Event], None]:
    def record(event: Event) -> None:
        if isinstance(event, StepDone):
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([event.step, event.loss]) + "\n")
            time.sleep(PAUSE_S)

    return record


def read_losses(directory: Path) -> dict[int, float]:
    """Step -> loss, as the last attempt had it."""
    lines = (directory.parent / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    return dict(map(json.loads, lines))


def find_largest_difference(first: dict[int, float], second: dict[int, float], steps: Sequence[int]) -> float:
    return max(abs(first[step] - second[step]) for step in steps)
