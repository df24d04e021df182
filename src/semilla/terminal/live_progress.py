"""Progress as a live display that is redrawn in place."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from semilla.events import Event, Note, PhaseStarted, Warned
from semilla.system import interrupts
from semilla.terminal.console import fold_lines
from semilla.terminal.drawing import draw_view
from semilla.terminal.plain_progress import STOPPING, describe_event
from semilla.terminal.run_view import Follower, RunView
from semilla.terminal.tables import make_console

REFRESH_PER_SECOND = 2
"""A drawing takes 2.7 ms. More of them would cost training on one core over 1 % (benchmarks/watching.py)."""


class LiveProgress:
    """A listener that redraws a few lines in place. Warnings and notes scroll by above them."""

    def __init__(self, *, title: str) -> None:
        self.console = make_console()
        self.view = RunView(title, process_id=os.getpid())
        self.follow = Follower(self.view)
        self.live = Live(
            get_renderable=self.draw,
            console=self.console,
            refresh_per_second=REFRESH_PER_SECOND,
            vertical_overflow="crop",
        )

    def __enter__(self) -> LiveProgress:
        interrupts.before_exit = show_cursor
        return self

    def __exit__(self, *_: object) -> None:
        # If the terminal is gone, the outcome of the run must still be reported.
        interrupts.before_exit = None
        self.view.activity = ""
        with suppress(OSError):
            self.live.stop()

    def __call__(self, event: Event) -> None:
        self.follow(event)
        match event:
            case PhaseStarted():
                # Not earlier: the question about resuming may come first, and needs the screen.
                with suppress(OSError):
                    self.live.start()
            case Warned() | Note():
                style = "yellow" if isinstance(event, Warned) else "dim"
                with suppress(OSError):
                    self.console.print(Text(fold_lines(describe_event(event) or ""), style=style))
            case _:
                pass

    def draw(self) -> RenderableType:
        size, message = self.console.size, STOPPING if interrupts.requested() else ""
        return draw_view(self.view, width=size.width, height=size.height, message=message)


def show_cursor() -> None:
    """Show the cursor again, which the display hides. It takes no lock, so a signal handler can call it."""
    with suppress(OSError, ValueError):
        os.write(sys.stdout.fileno(), b"\x1b[?25h\n")
