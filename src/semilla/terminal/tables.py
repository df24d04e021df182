"""Tables and coloured text; whatever comes from outside is inert in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from semilla.terminal.console import fold_lines

MIN_DRAWING_COLUMNS = 40
PLAIN_COLUMNS = 120
"""Width of tables in pipes and files, where there is no screen to ask."""

MARKS = {"ok": "green", "failed": "red", "missed": "yellow", "advice": "yellow"}


def make_console() -> Console:
    """Open standard output for drawing; where drawing is not wanted, not one control code is written."""
    draws = can_draw()
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_COLUMNS
    return Console(
        file=sys.stdout,
        force_terminal=draws,
        color_system="auto" if draws else None,
        width=width,
        markup=False,
        emoji=False,
        highlight=False,
    )


def can_draw() -> bool:
    """Tell whether standard output is a terminal that takes colours and cursor movements, and has room."""
    if not sys.stdout.isatty() or os.environ.get("TERM") in {"dumb", "unknown"} or os.environ.get("NO_COLOR"):
        return False
    return os.get_terminal_size(sys.stdout.fileno()).columns >= MIN_DRAWING_COLUMNS


def print_table(
    rows: Sequence[Sequence[object]], *, headings: Sequence[str] = (), indent_columns: int = 0
) -> None:
    """Print rows in aligned columns; long cells fold, none is cut."""
    columns = max(map(len, rows), default=0)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(headings), header_style="bold")
    for index in range(columns):
        table.add_column(headings[index] if headings else "", overflow="fold")
    for row in rows:
        table.add_row(*(make_cell(value) for value in row))
    console = make_console()
    with console.capture() as capture:
        console.print(Padding(table, (0, 0, 0, indent_columns)))
    # rich fills every line to its full width.
    print_lines(line.rstrip() for line in capture.get().splitlines())


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are safe already."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def make_cell(value: object) -> Text:
    """Make a cell of any value, on one line; the words in ``MARKS`` get their colour."""
    text = fold_lines(str(value))
    return Text(text, style=MARKS.get(text, ""))
