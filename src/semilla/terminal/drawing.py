"""Draws the state of a run as a few lines: phases, current bar, loss curve, latest samples."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from semilla.errors import PHASES
from semilla.events import EpochDone, StepDone, Transferred
from semilla.formatting import describe_epoch, draw_sparkline, format_duration, format_size
from semilla.terminal.console import fold_lines
from semilla.terminal.run_view import RunView

_INDENT, _SEPARATOR, _GAP = "   ", "  ", 2
STEM, LEAF, EARTH = "green", "bright_green", "grey37"
STOPPED = {"failed": ("✗", "red"), "interrupted": ("◌", "yellow")}


def draw_view(view: RunView, *, width: int) -> RenderableType:
    """Draw a run for a terminal of ``width`` columns."""
    title = Text.assemble(("semilla", f"bold {LEAF}"), ("  " + fold_lines(view.title), "dim"))
    lines: list[RenderableType] = [title]
    for phase in PHASES:
        lines.append(draw_phase(view, phase))
        if phase == view.phase and view.transfer:
            lines.append(_draw_transfer(view.transfer, width=width))
        if phase == "model_training":
            lines += draw_training(view, width=width)
    for line in lines:
        if isinstance(line, Text):
            line.no_wrap = True
            line.truncate(max(width - 1, 1), overflow="ellipsis")
    return Group(*lines)


def draw_phase(view: RunView, phase: str) -> Text:
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
    memory = f", {memory_mb:,.0f} MB of memory" if (memory_mb := view.memory_mb) else ""
    return Text.assemble((" ◐ ", LEAF), (f"{phase:<20}", "bold"), (spent + memory, "dim"))


def draw_training(view: RunView, *, width: int) -> list[RenderableType]:
    """Draw the step with its bar and figures, the loss so far, the last epoch and its samples."""
    lines: list[RenderableType] = []
    if view.step:
        lines += _draw_step(view.step, view.losses, width=width)
    elif view.losses:
        figures = f"loss {view.losses[0]:.2f} → {view.losses[-1]:.2f}"
        lines.append(_draw_row(_draw_losses(view.losses, width=width), figures, width=width))
    if view.epoch:
        lines.append(Text(_INDENT + describe_epoch(EpochDone(view.epoch, view.is_best))))
        lines += [
            Text(_INDENT + "“" + fold_lines(sample) + "”", style="italic dim")
            for sample in view.epoch.sample_outputs
        ]
    return lines


def _draw_step(step: StepDone, losses: Sequence[float], *, width: int) -> list[RenderableType]:
    left = f"{format_duration(step.remaining_s)} left"
    epoch, place = f"epoch {step.epoch} of {step.total_epochs}", f"step {step.step:,} of {step.total_steps:,}"
    loss, speed = f"loss {step.loss:.3f}", f"{step.tokens_per_second:,.0f} tokens/s"
    rate = f"rate {step.learning_rate:.1e}".replace("e-0", "e-")
    return [
        _draw_row(draw_bar(step.step, step.total_steps), left, epoch, place, width=width),
        _draw_row(_draw_losses(losses, width=width), loss, speed, rate, width=width, style="dim"),
    ]


def _draw_losses(losses: Sequence[float], *, width: int) -> Text:
    return Text(draw_sparkline(list(losses), width=_measure_bar(width)), style=STEM)


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
