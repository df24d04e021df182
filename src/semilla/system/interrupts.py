"""Ctrl-C and SIGTERM as a request that the run grants at its next safe point.

The first signal asks, the second leaves at once; nothing is lost then either, for artifacts are complete or absent.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from semilla.errors import InterruptedRunError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_requested: int | None = None

farewell: Callable[[], None] | None = None
"""What the second signal still does before it leaves: the live display gives the cursor back."""


def requested() -> bool:
    """True once a signal has asked the run to stop."""
    return _requested is not None


def check() -> None:
    """Raise InterruptedRunError if a signal asked the run to stop; call it where stopping loses nothing."""
    if _requested is not None:
        raise InterruptedRunError(_requested)


@contextmanager
def granted() -> Iterator[None]:
    """Install the handlers for the length of a run; outside the main thread signals are left alone."""
    global _requested  # noqa: PLW0603 - a signal handler has nowhere else to leave its word
    if threading.current_thread() is not threading.main_thread():
        # Nor is a request forgotten that the main thread's run has yet to grant.
        yield
        return
    _requested = None
    # What is ignored stays so: nohup ignores SIGHUP, a shell without job control the Ctrl-C of what it runs behind.
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _remember) for number in heard}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _requested = None


def _remember(number: int, _frame: FrameType | None) -> None:
    global _requested  # noqa: PLW0603
    if number == signal.SIGHUP:
        number = signal.SIGTERM
    if _requested is not None:
        if farewell:
            farewell()
        os._exit(128 + number)
    _requested = number
