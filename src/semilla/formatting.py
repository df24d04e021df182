"""How figures, phases and paths are written wherever they are shown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import pairwise

from semilla.errors import PHASES
from semilla.events import EpochDone, PhaseFinished, StepDone


def format_duration(seconds: float) -> str:
    """Format a duration: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_size(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.1f} MB"


def quote(path: object) -> str:
    """Quote a path for a shell command; one that looks like a flag or a home directory gets the prefix ``./``."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith(("-", "~")) else text)


def describe_phase(event: PhaseFinished) -> str:
    """Describe a finished phase in one line: its number, name, outcome and duration."""
    number = f"[{PHASES.index(event.phase) + 1}/{len(PHASES)}]"
    spent = f" ({format_duration(event.elapsed_s)})" if event.outcome == "done" else ""
    return f"{number} {event.phase}: {event.outcome}{spent}"


def describe_epoch(event: EpochDone) -> str:
    metrics = event.metrics
    best = " (best)" if event.is_best else ""
    bits = f"{metrics.bits_per_byte['all']:.3f} bits per byte, " if "all" in metrics.bits_per_byte else ""
    return (
        f"epoch {metrics.epoch_number}: training loss {metrics.train_loss:.3f}, "
        f"validation loss {metrics.validation_loss:.3f}{best}, {bits}{metrics.tokens_per_second:,.0f} tokens/s"
    )


def describe_step(step: StepDone) -> str:
    return (
        f"epoch {step.epoch} of {step.total_epochs}, step {step.step:,} of {step.total_steps:,}: "
        f"loss {step.loss:.3f}, {step.tokens_per_second:,.0f} tokens/s, {format_duration(step.remaining_s)} left"
    )


def draw_sparkline(values: list[float], *, width: int) -> str:
    """Draw values as a row of bars, averaging neighbours if there are more values than columns."""
    bars = "▁▂▃▄▅▆▇█"
    if not values or width < 1:
        return ""
    means = resample(values, min(width, len(values)))
    low, span = min(means), max(means) - min(means)
    return "".join(bars[round((mean - low) / span * 7) if span else 0] for mean in means)


def resample(values: Sequence[float], count: int) -> list[float]:
    """Return ``count`` values of the same course: means of neighbours, or each value several times."""
    edges = [index * len(values) / count for index in range(count + 1)]
    parts = [values[int(start) : max(int(end), int(start) + 1)] for start, end in pairwise(edges)]
    return [sum(part) / len(part) for part in parts]
