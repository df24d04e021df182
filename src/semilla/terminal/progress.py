"""Chooses how progress is shown: a live display on a terminal that can draw, plain lines anywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from semilla.events import Progress
from semilla.system import interrupts
from semilla.terminal.plain_progress import STOPPING, PlainProgress
from semilla.terminal.tables import can_draw

FORMS = ("auto", "plain", "json")


@contextmanager
def show_progress(*, title: str, form: str = "auto") -> Iterator[Progress]:
    """Show the events of a run inside the block. ``title`` is the heading of the live display."""
    if form == "json":
        with announced_stop():
            from semilla.terminal.json_progress import JsonProgress  # noqa: PLC0415 - only for programs

            yield JsonProgress()
        return
    if form == "plain" or not can_draw():
        with announced_stop():
            yield PlainProgress()
        return
    from semilla.terminal.live_progress import LiveProgress  # noqa: PLC0415 - half of rich, only needed on a terminal

    with LiveProgress(title=title) as progress:
        yield progress


@contextmanager
def announced_stop() -> Iterator[None]:
    """Say on standard error, at once, that a signal was heard. The live display says it itself."""
    interrupts.on_request = announce_stop
    try:
        yield
    finally:
        interrupts.on_request = None


def announce_stop() -> None:
    """Write without buffers and locks, because a signal handler calls it."""
    with suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), f"{STOPPING}\n".encode())
