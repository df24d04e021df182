"""Child processes that answer requests of this one, over a socket, and may share memory with it.

``python -m semilla.system.connection MODULE FUNCTION`` is such a process: what the function returns for the first
message answers all others. It ends with the process that started it. Windows passes no socket to a child.

Memory to share is an anonymous file (``memfd_create``) on Linux. On macOS it is an unnamed temporary file, whose pages
the system may write to the disk. Both are freed with the last process that has them open, however it ends.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from semilla.errors import KilledError, is_out_of_memory
from semilla.system import interrupts
from semilla.system.children import explain_end, make_command
from semilla.system.endings import read_marks

POLL_S = 1.0
"""How long to wait for an answer before something is done about it."""
GRACE_S = 10
"""How long a process that is killed may take to end."""
TIMEOUT_S = 600
"""How long a process may be silent, or not take a request."""


def can_share_memory() -> bool:
    """Return whether children can be given memory of this process, and a socket."""
    return sys.platform != "win32"


def open_shared_file() -> int:
    """Descriptor of an empty file without a name, to map and to pass to children."""
    if hasattr(os, "memfd_create"):
        descriptor: int = os.memfd_create("semilla")  # the annotation is for mypy on other systems
        return descriptor
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class AnsweringProcess:
    """A child that answers messages with ``make(setup)``; ``make`` is a function of a module.

    No wait for it is endless: one that was stopped is continued, and one that stays silent ends the run. ``grace_s``
    is how long it may be silent once the run was asked to stop. ``shared`` is a descriptor for the child, if any.
    """

    def __init__(self, make: Callable[..., Any], *, grace_s: float = 0.0, shared: int | None = None) -> None:
        self._grace_s = grace_s
        self._marks = read_marks()
        ours, theirs = socket.socketpair()
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", TIMEOUT_S, 0))
        self._connection = Connection(ours.detach())
        with theirs:
            # In a session of its own Ctrl-C does not reach it: only this process decides when to stop.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                make_command("semilla.system.connection", make.__module__, make.__name__),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=() if shared is None else (shared,),
                start_new_session=True,
            )
        self.pid = self._process.pid

    def send(self, message: object) -> None:
        """Send the setup, which gets no answer, or a request."""
        wake(self._process)
        try:
            self._connection.send(message)
        except BlockingIOError as error:
            raise self._give_up(TIMEOUT_S) from error
        except ConnectionError as error:
            raise self._explain_end() from error

    def receive(self) -> Any:
        """The answer to the oldest request that has none.

        Raises RuntimeError and MemoryError as the function does, KilledError when the process was killed (MemoryError
        if the kernel did it because memory ran out), and InterruptedRunError.
        """
        began_s = time.monotonic()
        try:
            while not self._connection.poll(POLL_S):
                silent_s = time.monotonic() - began_s
                if silent_s > TIMEOUT_S or (silent_s > self._grace_s and interrupts.requested()):
                    raise self._give_up(silent_s)
                wake(self._process)
            result, problem, lacked_memory = self._connection.recv()
        except BlockingIOError as error:
            raise self._give_up(TIMEOUT_S) from error
        except (EOFError, ConnectionError) as error:
            raise self._explain_end() from error
        if problem:
            raise (MemoryError if lacked_memory else RuntimeError)(problem)
        return result

    def kill(self) -> None:
        self._process.kill()
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):  # in a system call that cannot be ended; it dies after that
            self._process.wait(GRACE_S)

    def _give_up(self, silent_s: float) -> KilledError:
        interrupts.check()
        return KilledError(f"a process of the run has not answered for {silent_s:.0f} s")

    def _explain_end(self) -> Exception:
        return explain_end(self._process.wait(), self._marks)


def wake(process: subprocess.Popen[bytes]) -> None:
    """Let a child continue if somebody stopped it; this does nothing to one that runs."""
    if sys.platform != "win32":
        process.send_signal(signal.SIGCONT)


def main(module: str, name: str) -> None:
    """Answer requests until the other process is gone. It alone acts on signals that both receive."""
    interrupts.ignore_signals()
    make = getattr(import_module(module), name)
    with suppress(EOFError, ConnectionError), Connection(sys.stdin.fileno()) as connection:
        function = make(connection.recv())
        while True:
            request = connection.recv()
            try:
                answer = (function(request), "", False)
            except Exception as error:  # the other process raises it
                answer = (None, str(error) or repr(error), is_out_of_memory(error))
            connection.send(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
