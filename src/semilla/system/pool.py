"""Computes a function in several processes, and gives the results in the order of the requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from semilla.system import interrupts
from semilla.system.connection import AnsweringProcess, can_share_memory
from semilla.system.processor import count_cores

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
    bounded. Raises like ``AnsweringProcess.receive``.
    """
    if num_processes == 1 or not can_share_memory():
        function = make(setup)
        for request in requests:
            interrupts.check()
            yield function(request)
        return
    processes: list[AnsweringProcess] = []
    busy: deque[AnsweringProcess] = deque()
    try:
        for request in requests:
            interrupts.check()
            if len(busy) < num_processes:
                process = AnsweringProcess(make)
                processes.append(process)
                process.send(setup)
            else:
                process = busy.popleft()
                yield process.receive()
            process.send(request)
            busy.append(process)
        for process in busy:
            yield process.receive()
    finally:
        for one in processes:
            one.kill()


@contextmanager
def compute_meanwhile(
    make: Callable[[Setup], Callable[[Request], Result]], setup: Setup, requests: Sequence[Request]
) -> Iterator[Iterator[Result]]:
    """Start a process for each request, and give an iterator over the results, which waits for each.

    Where there is one core, and on Windows, the iterator computes. Otherwise like ``compute_in_order``.
    """
    if count_cores() == 1 or not can_share_memory():
        yield compute_in_order(make, setup, requests, num_processes=1)
        return
    processes: list[AnsweringProcess] = []
    try:
        for request in requests:
            processes.append(AnsweringProcess(make))
            processes[-1].send(setup)
            processes[-1].send(request)
        yield (process.receive() for process in processes)
    finally:
        for one in processes:
            one.kill()
