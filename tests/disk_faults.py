"""Intercepts the writer's calls to the disk: counts them, and makes something happen at the Nth.

    with DiskFaults() as calls: ...                          # a rehearsal: calls.names lists every call
    with DiskFaults(at=7, act=fail_with(errno.ENOSPC)): ...  # the 7th call fails, once
    with DiskFaults(at=7, act=kill): ...                     # the process dies before the 7th call

A write is torn: half of its bytes reach the file before ``act`` is called.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

from semilla.records import disk

Act = Callable[[], None]


def fail_with(number: int) -> Act:
    """Raise an OSError of that number."""

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    return fail


def kill() -> None:
    """End this process as a power cut would: no handler, no ``finally``."""
    os.kill(os.getpid(), signal.SIGKILL)


class DiskFaults:
    """Counts the calls named in ``only``; calls ``act`` at call ``at`` (from 1), or at each from there on."""

    def __init__(
        self,
        *,
        at: int = 0,
        act: Act = lambda: None,
        only: Iterable[str] = disk.CALLS,
        is_lasting: bool = False,
    ) -> None:
        self.at, self.act, self.only, self.is_lasting = at, act, frozenset(only), is_lasting
        self.names: list[str] = []
        """The calls so far, in order."""
        self.paths: list[str] = []
        """The first argument of each: a path, or the name of the open file."""
        self._real = {name: getattr(disk, name) for name in disk.CALLS}

    def __enter__(self) -> DiskFaults:
        for name in self.only:
            setattr(disk, name, self._watch(name))
        return self

    def __exit__(self, *exception: object) -> None:
        for name, call in self._real.items():
            setattr(disk, name, call)

    def _watch(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.names.append(name)
            self.paths.append(str(getattr(arguments[0], "name", arguments[0])))
            count = len(self.names)
            if self.at and (count == self.at or (self.is_lasting and count > self.at)):
                if name == "write":
                    file, data = arguments
                    self._real["write"](file, data[: len(data) // 2])
                    self._real["flush"](file)
                self.act()
            return self._real[name](*arguments)

        return call
