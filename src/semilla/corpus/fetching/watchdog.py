"""A thread that cuts connections off when time runs out or a signal asks the run to stop.

urllib3's ``Timeout`` bounds one silence. It does not stop a server that sends a header line a second forever, and a
blocked read would delay Ctrl-C until the timeout.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from semilla.corpus.fetching.policy import FetchFailure
from semilla.system import interrupts

_POLL_S = 0.1


class Watchdog:
    """Watches the connections given to ``guard`` until the ``with`` block ends."""

    def __init__(self, *, deadline_s: float) -> None:
        self.expired_s: float | None = None
        """The limit that was exceeded, in seconds; None while there is time left."""
        self._limits = [(time.monotonic() + deadline_s, deadline_s)]
        self._sockets: list[socket.socket] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="semilla-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def guard(self, connection: socket.socket) -> None:
        self._sockets.append(connection)
        if self.expired_s is not None:
            self._cut()

    def check(self) -> None:
        """Raise InterruptedRunError after a signal, FetchFailure after a limit."""
        interrupts.check()
        if self.expired_s is not None:
            raise FetchFailure(f"not finished within {self.expired_s:g} s", kind="retry")

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Set a shorter limit for the length of the block."""
        self._limits.append((time.monotonic() + seconds, seconds))
        try:
            yield
        finally:
            self._limits.pop()

    def _watch(self) -> None:
        while not self._done.wait(_POLL_S):
            now_s = time.monotonic()
            self.expired_s = next((limit_s for end_s, limit_s in [*self._limits] if now_s >= end_s), None)
            if self.expired_s is not None or interrupts.requested():
                self._cut()
                return

    def _cut(self) -> None:
        for connection in self._sockets:
            with suppress(OSError):
                # Not SSLSocket.shutdown, which removes the TLS layer while the other thread still reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
