"""Progress as a calm live display: phases, the current bar, the loss as it falls, the latest samples."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from types import TracebackType

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from semilla import interrupts
from semilla.errors import PHASES
from semilla.phrases import describe_epoch, draw_sparkline, format_duration, format_size
from semilla.progress import (
    EpochDone,
    Event,
    Note,
    PhaseFinished,
    PhaseStarted,
    StepDone,
    Transferred,
    Warned,
)
from semilla.terminal.console import fold_lines
from semilla.terminal.plain import describe_event
from semilla.terminal.tables import make_console

REFRESH_PER_SECOND = 4
STEM, LEAF, EARTH = "green", "bright_green", "grey37"


class LiveProgress:
    """A listener that redraws a few lines in place; warnings and notes scroll by above them."""

    def __init__(self, *, title: str) -> None:
        self.console = make_console()
        self.title = fold_lines(title)
        self.finished: dict[str, PhaseFinished] = {}
        self.phase: str | None = None
        self.phase_started_s = 0.0
        self.transfer: Transferred | None = None
        self.step: StepDone | None = None
        self.losses: list[float] = []
        self.epoch: EpochDone | None = None
        self.live = Live(
            get_renderable=self.draw,
            console=self.console,
            refresh_per_second=REFRESH_PER_SECOND,
            vertical_overflow="crop",
        )

    def __enter__(self) -> LiveProgress:
        interrupts.farewell = show_cursor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A terminal that went away must not hide how the run ended.
        interrupts.farewell = None
        with suppress(OSError):
            self.live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted(phase):
                self.phase, self.phase_started_s = phase, time.monotonic()
                # Not before: a question about resuming may come first, and needs the screen.
                with suppress(OSError):
                    self.live.start()
            case PhaseFinished(phase):
                self.finished[phase], self.phase = event, None
                self.transfer = self.step = None
            case Transferred():
                self.transfer = event
            case StepDone(loss=loss):
                self.step = event
                self.losses.append(loss)
            case EpochDone():
                self.epoch = event
            case Warned() | Note():
                style = "yellow" if isinstance(event, Warned) else "dim"
                with suppress(OSError):
                    self.console.print(Text(fold_lines(describe_event(event) or ""), style=style))
            case _:
                pass

    # ---- drawing

    def draw(self) -> RenderableType:
        """Draw the whole display from what is known now."""
        lines: list[RenderableType] = [Text.assemble(("semilla", f"bold {LEAF}"), ("  " + self.title, "dim"))]
        for phase in PHASES:
            lines.append(self._draw_phase(phase))
            if phase == self.phase and self.transfer:
                lines.append(self._draw_transfer(self.transfer))
            if phase == "model_training":
                lines += self._draw_training()
        return Group(*lines)

    def _draw_phase(self, phase: str) -> Text:
        if phase in self.finished:
            event = self.finished[phase]
            end = format_duration(event.elapsed_s) if event.outcome == "done" else event.outcome
            return Text.assemble((" ● ", STEM), f"{phase:<20}", (end, "dim"))
        if phase == self.phase:
            spent = format_duration(time.monotonic() - self.phase_started_s)
            return Text.assemble((" ◐ ", LEAF), (f"{phase:<20}", "bold"), (spent, "dim"))
        return Text(f" ○ {phase}", style=EARTH)

    def _draw_transfer(self, transfer: Transferred) -> RenderableType:
        total = f" of {format_size(transfer.total_bytes)}" if transfer.total_bytes else ""
        done = f"{fold_lines(transfer.name)}  {format_size(transfer.done_bytes)}{total}"
        return self._draw_row(_draw_bar(transfer.done_bytes, transfer.total_bytes), Text(done))

    def _draw_training(self) -> list[RenderableType]:
        lines: list[RenderableType] = []
        if self.step:
            step = self.step
            place = f"step {step.step:,} of {step.total_steps:,}"
            left = f"{format_duration(step.remaining_s)} left"
            lines.append(self._draw_row(_draw_bar(step.step, step.total_steps), Text(f"{place}, {left}")))
            rate = f"{step.learning_rate:.1e}".replace("e-0", "e-")
            figures = f"loss {step.loss:.3f}  rate {rate}  {step.tokens_per_second:,.0f} tokens/s"
            lines.append(self._draw_losses(figures))
        elif self.losses:
            lines.append(self._draw_losses(f"loss {self.losses[0]:.2f} → {self.losses[-1]:.2f}"))
        if self.epoch:
            lines.append(Text("   " + describe_epoch(self.epoch)))
            lines += [self._draw_sample(sample) for sample in self.epoch.metrics.sample_outputs]
        return lines

    def _draw_losses(self, figures: str) -> Table:
        spark = Text(draw_sparkline(self.losses, width=self._measure_bar()), style=STEM)
        return self._draw_row(spark, Text(figures, style="dim"))

    def _draw_sample(self, sample: str) -> Text:
        text = Text("   “" + fold_lines(sample) + "”", style="italic dim", no_wrap=True, overflow="ellipsis")
        text.truncate(max(self.console.width - 1, 1), overflow="ellipsis")
        return text

    def _draw_row(self, left: RenderableType, right: Text) -> Table:
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=3)
        row.add_column(width=self._measure_bar())
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row("", left, right)
        return row

    def _measure_bar(self) -> int:
        return max(min(self.console.width // 3, 40), 8)


def show_cursor() -> None:
    """Give back the cursor that the display hides; safe in a signal handler, for it takes no lock."""
    with suppress(OSError, ValueError):
        os.write(sys.stdout.fileno(), b"\x1b[?25h\n")


def _draw_bar(done: float, total: float | None) -> ProgressBar:
    return ProgressBar(
        total=total,
        completed=done,
        pulse=total is None,
        complete_style=STEM,
        finished_style=LEAF,
        style=EARTH,
    )
