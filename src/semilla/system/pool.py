"""Computes a function in several processes, and gives the results in the order of the requests.

``python -m semilla.system.pool MODULE FUNCTION`` is such a process. Processes end with the one that started them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from semilla.errors import KilledError, is_out_of_memory
from semilla.system import interrupts
from semilla.system.children import explain_end, make_command
from semilla.system.connection import connect_to_parent, start_connected
from semilla.system.endings import read_marks

POLL_S = 1.0
"""How often a wait looks whether the run was asked to stop."""
TIMEOUT_S = 600
"""How long a process may compute, or not take a request."""

Setup = TypeVar("Setup")
Request = TypeVar("Request")
Result = TypeVar("Result")


def compute_in_order(
    make: Callable[[Setup], Callable[[Request], Result]],
    setup: Setup,
    requests: Iterable[Request],
    *,
    num_processes: int,
) -> Iterator[Result]:
    """Yield ``make(setup)`` of each request. ``make`` is a function of a module; what is sent has only built-in types.

    With one process, and on Windows, this process computes. Every process has one request at a time, so memory is
    bounded. Raises InterruptedRunError, KilledError, and RuntimeError or MemoryError as the function does.
    """
    if num_processes == 1 or sys.platform == "win32":
        function = make(setup)
        for request in requests:
            interrupts.check()
            yield function(request)
        return
    idle: deque[_Process] = deque()
    busy: deque[_Process] = deque()
    try:
        for request in requests:
            interrupts.check()
            if len(busy) == num_processes:
                process = busy.popleft()
                yield process.receive()
                idle.append(process)
            if not idle:
                idle.append(_Process(make, setup))
            process = idle.popleft()
            process.send(request)
            busy.append(process)
        for process in busy:
            yield process.receive()
    finally:
        for process in (*idle, *busy):
            process.kill()


class _Process:
    def __init__(self, make: Callable[..., Any], setup: object) -> None:
        self._marks = read_marks()
        self._process, self._connection = start_connected(
            make_command("semilla.system.pool", make.__module__, make.__name__),
            receive_timeout_s=TIMEOUT_S,
            send_timeout_s=TIMEOUT_S,
        )
        self.send(setup)

    def send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except ConnectionError as error:
            raise self._explain_end() from error

    def receive(self) -> Any:
        deadline_s = time.monotonic() + TIMEOUT_S
        try:
            while not self._connection.poll(POLL_S):
                interrupts.check()
                if time.monotonic() > deadline_s:
                    raise KilledError(f"a process of the run has not answered for {TIMEOUT_S} s")
            result, problem, is_memory = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise self._explain_end() from error
        if problem:
            raise (MemoryError if is_memory else RuntimeError)(problem)
        return result

    def kill(self) -> None:
        self._process.kill()
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):  # in a system call that cannot be ended; it dies after that
            self._process.wait(POLL_S)

    def _explain_end(self) -> Exception:
        return explain_end(self._process.wait(), self._marks)


def _serve(connection: Connection, module: str, name: str) -> None:
    function = getattr(import_module(module), name)(connection.recv())
    while True:
        request = connection.recv()
        try:
            answer = (function(request), "", False)
        except Exception as error:  # the other process raises it
            answer = (None, str(error) or repr(error), is_out_of_memory(error))
        connection.send(answer)


def main() -> None:
    """Answer requests until the other process is gone. It alone acts on signals that both receive."""
    interrupts.ignore_signals()
    with suppress(EOFError, ConnectionError), connect_to_parent() as connection:
        _serve(connection, *sys.argv[1:])


if __name__ == "__main__":
    main()
