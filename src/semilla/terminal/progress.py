"""Chooses how progress is shown: a live display on a terminal that can draw, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from semilla.events import Progress
from semilla.terminal.plain_progress import PlainProgress
from semilla.terminal.tables import can_draw

FORMS = ("auto", "plain", "json")


@contextmanager
def show_progress(*, title: str, form: str = "auto") -> Iterator[Progress]:
    """Show the events of a run inside the block. ``title`` is the heading of the live display."""
    if form == "json":
        from semilla.terminal.json_progress import JsonProgress  # noqa: PLC0415 - only for programs

        yield JsonProgress()
        return
    if form == "plain" or not can_draw():
        yield PlainProgress()
        return
    from semilla.terminal.live_progress import LiveProgress  # noqa: PLC0415 - half of rich, only needed on a terminal

    with LiveProgress(title=title) as progress:
        yield progress
