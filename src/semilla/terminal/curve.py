"""Draws the loss so far as a curve of several rows, with an axis."""

from __future__ import annotations

from collections.abc import Sequence

from semilla.formatting import resample

BARS = " ▁▂▃▄▅▆▇█"
LEVELS = len(BARS) - 1
"""Heights that one character can show."""
LABEL_COLUMNS = 6
"""Room for a loss such as 10.25 beside the axis."""


def draw_curve(values: Sequence[float], *, width: int, height: int, end: str) -> list[str]:
    """Draw values as a filled curve, ``height`` rows high with its axis; ``end`` is the label of the last value.

    The highest and the lowest value stand beside the first and the last row.
    """
    num_rows, columns = height - 1, width - LABEL_COLUMNS - 1
    if not values or num_rows < 2 or columns < 8:
        return []
    high, low = max(values), min(values)
    span = high - low or 1.0
    # The lowest value is one level high: a column without a bar would look like a gap.
    levels = [
        1 + round((value - low) / span * (num_rows * LEVELS - 1)) for value in resample(values, columns)
    ]
    rows = []
    for row in reversed(range(num_rows)):
        label = f"{high:.2f}" if row == num_rows - 1 else f"{low:.2f}" if row == 0 else ""
        bars = "".join(BARS[min(max(level - row * LEVELS, 0), LEVELS)] for level in levels)
        rows.append(f"{label:>{LABEL_COLUMNS - 1}} {'┤' if label else '│'}{bars.rstrip()}")
    start = "step 0"
    middle = "─" * max(columns - len(start) - len(end) - 2, 1)
    return [*rows, f"{'':>{LABEL_COLUMNS}}└{start} {middle} {end}"]
