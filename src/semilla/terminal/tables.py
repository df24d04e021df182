"""Tables and coloured text. Text from outside cannot style or move anything."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from semilla.terminal.console import fold_lines

MIN_DRAWING_COLUMNS = 40
GAP = 2
"""Spaces between two columns of a table."""
PLAIN_COLUMNS = 120
"""Width of tables in pipes and files, which have no screen."""

MARKS = {"ok": "green", "failed": "red", "missed": "yellow", "advice": "yellow"}


class PipedConsole(Console):
    """A console whose reader may leave: rich would end the program with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def make_console() -> Console:
    """Open standard output for drawing. If it cannot draw, no control code is written."""
    draws = can_draw()
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_COLUMNS
    return PipedConsole(
        file=sys.stdout,
        force_terminal=draws,
        color_system="auto" if draws else None,
        width=width,
        markup=False,
        emoji=False,
        highlight=False,
    )


def can_draw() -> bool:
    """Whether standard output is a terminal with cursor movements and enough columns; NO_COLOR removes colour only."""
    if not sys.stdout.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        return False
    return os.get_terminal_size(sys.stdout.fileno()).columns >= MIN_DRAWING_COLUMNS


def print_table(
    rows: Sequence[Sequence[object]], *, headings: Sequence[str] = (), indent_columns: int = 0
) -> None:
    """Print rows in aligned columns. Long cells are folded, between words if their words fit, and never cut."""
    table = Table(box=None, padding=(0, GAP, 0, 0), show_header=bool(headings), header_style="bold")
    console = make_console()
    columns = list(zip_longest(*rows, fillvalue=""))
    longest = [
        max(cell_len(word) for cell in column for word in ("", *str(cell).split())) for column in columns
    ]
    fits = sum(longest) + GAP * len(columns) + indent_columns <= console.width
    for index, width in enumerate(longest):
        heading = headings[index] if headings else ""
        table.add_column(heading, overflow="fold", min_width=width if fits else None)
    for row in rows:
        table.add_row(*(make_cell(value) for value in row))
    with console.capture() as capture:
        console.print(Padding(table, (0, 0, 0, indent_columns)))
    # rich pads every line to the full width.
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def make_cell(value: object) -> Text:
    """Make a one-line cell. The words in ``MARKS`` get their colour."""
    text = fold_lines(str(value))
    return Text(text, style=MARKS.get(text, ""))
