"""Draws the state of a run: phases, what it is doing, the current bar, the loss curve and the latest samples.

The lines fill the window and never more: the samples get what they need, and the curve what is left.
"""

from __future__ import annotations

import time

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from semilla.errors import PHASES
from semilla.events import EpochDone, Transferred
from semilla.formatting import describe_epoch, draw_sparkline, format_duration, format_size
from semilla.terminal.console import fold_lines
from semilla.terminal.curve import draw_curve
from semilla.terminal.run_view import RunView

_INDENT, _SEPARATOR, _GAP = "   ", "  ", 2
STEM, LEAF, EARTH = "green", "bright_green", "grey37"
STOPPED = {"failed": ("✗", "red"), "interrupted": ("◌", "yellow")}
MOST_CURVE_ROWS = 16
USUAL_HEIGHT = 24
_MEASURING = Console(color_system=None)
"""Measures text, and writes nothing."""


def draw_view(view: RunView, *, width: int, height: int = USUAL_HEIGHT, message: str = "") -> RenderableType:
    """Draw a run for a terminal of ``width`` columns and ``height`` rows; ``message`` comes last."""
    title = Text.assemble(("semilla", f"bold {LEAF}"), ("  " + fold_lines(view.title), "dim"))
    below = _wrap(message, width=width, style="bold yellow") if message else []
    room = height - 1 - len(PHASES) - 1 - len(below) - bool(view.transfer)
    lines: list[RenderableType] = [title]
    for phase in PHASES:
        lines.append(draw_phase(view, phase, width=width))
        if phase == view.phase and view.transfer:
            lines.append(_draw_transfer(view.transfer, width=width))
        if phase == "model_training":
            lines += draw_training(view, width=width, height=room)
    if view.phase is None and view.activity:
        lines.append(Text(f" ◐ {view.activity}", style=LEAF))
    lines += below
    for line in lines:
        if isinstance(line, Text):
            line.no_wrap = True
            line.truncate(max(width - 1, 1), overflow="ellipsis")
    return Group(*lines)


def draw_phase(view: RunView, phase: str, *, width: int) -> Text:
    if phase in view.finished:
        outcome, elapsed_s = view.finished[phase]
        end = format_duration(elapsed_s) if outcome == "done" else outcome
        return Text.assemble((" ● ", STEM), f"{phase:<20}", (end, "dim"))
    if phase != view.phase:
        return Text(f" ○ {phase}", style=EARTH)
    if view.state in STOPPED:
        sign, style = STOPPED[view.state]
        return Text.assemble((f" {sign} ", style), (f"{phase:<20}", "bold"), (view.state, style))
    spent = format_duration(time.monotonic() - view.phase_began_s)
    activity = f"{view.activity}, " if view.activity else ""
    memory = f", {memory_mb:,.0f} MB of memory" if (memory_mb := view.memory_mb) else ""
    line = Text.assemble((" ◐ ", LEAF), (f"{phase:<20}", "bold"), activity, (spent, "dim"))
    return line.append(memory, "dim") if line.cell_len + len(memory) < width else line


def draw_training(view: RunView, *, width: int, height: int) -> list[RenderableType]:
    """Draw, in at most ``height`` rows, the step with its bar, the last epoch, its samples, and the loss so far."""
    below: list[Text] = []
    if view.epoch:
        below += _wrap(describe_epoch(EpochDone(view.epoch, view.is_best)), width=width)
        for sample in view.epoch.list_samples():
            below += _wrap(f"“{fold_lines(sample.marked)}”", width=width, style="italic dim")
    num_figures = 2 if view.step else 1 if view.losses else 0
    end = (
        f"step {view.step.step:,}"
        if view.step
        else f"epoch {view.epoch.epoch_number}"
        if view.epoch
        else "now"
    )
    rows = min(height - num_figures - len(below), MOST_CURVE_ROWS)
    curve = draw_curve(view.losses, width=width - 1 - len(_INDENT), height=rows, end=end)
    lines = draw_figures(view, width=width, has_curve=bool(curve))
    lines += [Text(_INDENT + row, style=STEM) for row in curve]
    return [*lines, *below[: max(height - len(lines), 0)]]


def draw_figures(view: RunView, *, width: int, has_curve: bool) -> list[RenderableType]:
    """Draw the bar and the figures of the current step. Without room for a curve, a row of bars shows the loss."""
    step, losses = view.step, view.losses
    bars = Text(draw_sparkline(list(losses), width=_measure_bar(width)), style=STEM)
    if step is None:
        change = f"loss {losses[0]:.2f} → {losses[-1]:.2f}" if losses else ""
        if has_curve:
            return [Text(_INDENT + change, style="dim")]
        return [_draw_row(bars, change, width=width)] if losses else []
    left = f"{format_duration(step.remaining_s)} left"
    epoch, place = f"epoch {step.epoch} of {step.total_epochs}", f"step {step.step:,} of {step.total_steps:,}"
    loss, speed = f"loss {step.loss:.3f}", f"{step.tokens_per_second:,.0f} tokens/s"
    rate = f"rate {step.learning_rate:.1e}".replace("e-0", "e-")
    bar = _draw_row(draw_bar(step.step, step.total_steps), left, epoch, place, width=width)
    if has_curve:
        return [bar, Text(_INDENT + _SEPARATOR.join((loss, speed, rate)), style="dim")]
    return [bar, _draw_row(bars, loss, speed, rate, width=width, style="dim")]


def _wrap(text: str, *, width: int, style: str = "") -> list[Text]:
    """Break a text into indented lines that fit."""
    lines = Text(text, style=style).wrap(_MEASURING, max(width - 1 - len(_INDENT), 1))
    return [Text.assemble(_INDENT, line) for line in lines]


def _draw_transfer(transfer: Transferred, *, width: int) -> RenderableType:
    total = f" of {format_size(transfer.total_bytes)}" if transfer.total_bytes else ""
    done = f"{fold_lines(transfer.name)}  {format_size(transfer.done_bytes)}{total}"
    return _draw_row(draw_bar(transfer.done_bytes, transfer.total_bytes), done, width=width)


def _draw_row(left: RenderableType, *figures: str, width: int, style: str = "") -> Table:
    """Draw a bar and as many figures beside it as fit, but at least the first."""
    bar_width = _measure_bar(width)
    room = width - 1 - len(_INDENT) - bar_width - _GAP
    while len(figures) > 1 and len(_SEPARATOR.join(figures)) > room:
        figures = figures[:-1]
    row = Table.grid(padding=0)
    row.add_column(width=len(_INDENT))
    row.add_column(width=bar_width)
    row.add_column(width=_GAP)
    row.add_column(no_wrap=True, overflow="ellipsis")
    row.add_row("", left, "", Text(_SEPARATOR.join(figures), style=style))
    return row


def _measure_bar(width: int) -> int:
    return max(min(width // 3, 40), 8)


def draw_bar(done: float, total: float | None) -> ProgressBar:
    """Draw a progress bar, or a pulsing one while the total is unknown."""
    return ProgressBar(
        total=total,
        completed=done,
        pulse=total is None,
        complete_style=STEM,
        finished_style=LEAF,
        style=EARTH,
    )
