"""Ctrl-C and SIGTERM as a request that the run obeys at its next safe point.

So do closing the terminal (SIGHUP on Linux and macOS) and the console (SIGBREAK on Windows), which count as SIGTERM.
The first signal asks the run to stop, the second exits at once. Neither loses an artifact: each is complete or absent.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from semilla.errors import InterruptedRunError

_HANGUPS = {getattr(signal, name) for name in ("SIGHUP", "SIGBREAK") if hasattr(signal, name)}
SIGNALS = (signal.SIGINT, signal.SIGTERM, *_HANGUPS)

_requested: int | None = None
_is_signalled = False
"""Whether this process itself has received a signal."""

before_exit: Callable[[], None] | None = None
"""Called when the second signal exits; the live display uses it to show the cursor again."""


on_request: Callable[[], None] | None = None
"""Called at the first signal, from its handler; it tells the user that the run is going to stop."""


def requested() -> bool:
    """Return whether a signal asked the run to stop."""
    return _requested is not None


def check() -> None:
    """Raise InterruptedRunError if a signal asked the run to stop. Call it where stopping loses nothing."""
    if _requested is not None:
        raise InterruptedRunError(_requested)


def get_requested() -> int | None:
    """The signal that asked the run to stop."""
    return _requested


def request(number: int) -> None:
    """Ask the run to stop, as a signal with this number does; another rank may have received it."""
    global _requested  # noqa: PLW0603 - a signal handler has nowhere else to store the request
    if _requested is None:
        _requested = number
        if on_request:
            on_request()


def ignore_signals() -> None:
    """Leave signals to the process that started this one."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def catch_signals() -> Iterator[None]:
    """Install the handlers for the length of a run. Outside the main thread signals are left alone."""
    global _requested, _is_signalled  # noqa: PLW0603
    if threading.current_thread() is not threading.main_thread():
        # The request to the run in the main thread must not be reset either.
        yield
        return
    _requested, _is_signalled = None, False
    # Ignored signals stay ignored: nohup ignores SIGHUP, and some shells ignore Ctrl-C for background jobs.
    handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _handle) for number in handled}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _requested = None


def _handle(number: int, _frame: FrameType | None) -> None:
    global _is_signalled  # noqa: PLW0603
    if number in _HANGUPS:
        number = signal.SIGTERM
    if _is_signalled:
        if before_exit:
            before_exit()
        os._exit(128 + number)
    _is_signalled = True
    request(number)
