"""Choose how progress is shown: a live display on a terminal that can draw, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from semilla.events import Progress
from semilla.terminal.plain import PlainProgress
from semilla.terminal.tables import can_draw

FORMS = ("auto", "plain", "json")


@contextmanager
def show_progress(*, title: str, form: str = "auto") -> Iterator[Progress]:
    """Show a run's events while the block lasts; ``title`` heads the live display."""
    if form == "json":
        from semilla.terminal.events import JsonProgress  # noqa: PLC0415 - for programs only

        yield JsonProgress()
        return
    if form == "plain" or not can_draw():
        yield PlainProgress()
        return
    from semilla.terminal.live import LiveProgress  # noqa: PLC0415 - half of rich, needed on a terminal only

    with LiveProgress(title=title) as progress:
        yield progress
