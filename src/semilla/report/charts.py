"""Line charts as geometry: where each line, tick and label goes. The templates draw them as SVG.

SVG drawn here rather than by a plotting library follows the page's light and dark colours, stays sharp in print, and
keeps a report at some tens of kilobytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 440, 250
"""Small enough that the words stay readable when a phone shrinks the drawing."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 58, 14, 40
_NUM_TICKS = 5
_LABEL_HEIGHT = 15
_MINIMUM_SPAN = 1e-9

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One line: its name in the legend and its points; ``style`` numbers its colour and its dashes from 0.

    ``best`` is the x of a point to be marked.
    """

    name: str
    points: Sequence[Point]
    style: int = 0
    best: float | None = None


@dataclass(frozen=True)
class Tick:
    """A grid line: where it is on its axis, and what is written beside it."""

    place: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A point on the canvas, and what is said of it."""

    x: float
    y: float
    text: str
    is_best: bool


@dataclass(frozen=True)
class Line:
    """A series on the canvas: ``path`` is SVG path data, ``label`` its last value, written beside its end."""

    series: Series
    path: str
    marks: Sequence[Mark]
    label: Tick


@dataclass(frozen=True)
class Chart:
    """A drawing of WIDTH x HEIGHT units, with all it needs to be understood without seeing it."""

    key: str
    title: str
    description: str
    x_label: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM
    width: float = WIDTH
    height: float = HEIGHT


def draw_chart(
    key: str, title: str, series: Sequence[Series], *, x_label: str = "epoch", unit: str = ""
) -> Chart | None:
    """Lay out the finite points of ``series`` on common axes; None when there is nothing to draw."""
    cleaned = [replace(one, points=[p for p in one.points if all(map(math.isfinite, p))]) for one in series]
    drawn = [one for one in cleaned if one.points]
    if not drawn:
        return None
    x_scale = _Scale.fit([x for one in drawn for x, _ in one.points], _LEFT, WIDTH - _RIGHT, whole=True)
    y_scale = _Scale.fit([y for one in drawn for _, y in one.points], HEIGHT - _BOTTOM, _TOP)
    return Chart(
        key,
        f"{title} ({unit})" if unit else title,
        " ".join(_describe(one, x_label=x_label) for one in drawn),
        x_label,
        _part_labels([_draw_line(one, x_scale, y_scale, x_label=x_label) for one in drawn]),
        [Tick(x_scale.place(value), format_number(value)) for value in x_scale.ticks],
        [Tick(y_scale.place(value), format_number(value)) for value in y_scale.ticks],
    )


def choose_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round values at even distances (1, 2 or 5 times a power of ten) that span ``low`` to ``high``."""
    span = max(high - low, _MINIMUM_SPAN, abs(high) * _MINIMUM_SPAN)
    rough = span / _NUM_TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def format_number(value: float) -> str:
    """Write a number as short as it can be said: 12,500, 2.75, 3e-4."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 0.001:
        return f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")
    return f"{value:.4g}"


@dataclass(frozen=True)
class _Scale:
    """A linear map from values to places on the canvas, with the ticks that bound it."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]

    @classmethod
    def fit(cls, values: Sequence[float], start: float, end: float, *, whole: bool = False) -> _Scale:
        """Cover ``values``: an axis of whole numbers tightly, any other out to its outermost ticks."""
        low, high = min(values), max(values)
        ticks = choose_ticks(low, high, whole=whole)
        if whole:
            low, high = (low, high) if high > low else (low - 1, high + 1)
            return cls(low, high, start, end, [tick for tick in ticks if low <= tick <= high])
        return cls(ticks[0], ticks[-1], start, end, ticks)

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def _draw_line(series: Series, x_scale: _Scale, y_scale: _Scale, *, x_label: str) -> Line:
    marks = [
        Mark(x_scale.place(x), y_scale.place(y), f"{series.name}, {x_label} {x:g}: {y:.5g}", x == series.best)
        for x, y in series.points
    ]
    path = "M" + " L".join(f"{mark.x:g},{mark.y:g}" for mark in marks)
    return Line(series, path, marks, Tick(marks[-1].y, _format_end(series.points[-1][1])))


def _format_end(value: float) -> str:
    """Three digits suffice beside a line."""
    return format_number(float(f"{value:.3g}") if abs(value) < 1000 else value)


def _part_labels(lines: Sequence[Line]) -> list[Line]:
    """Push labels apart that would cover each other: from the top down, then from the axis up, which has its own."""
    lines = sorted(lines, key=lambda line: line.label.place)
    places: list[float] = []
    for line in lines:
        places.append(max(line.label.place, places[-1] + _LABEL_HEIGHT if places else -math.inf))
    limit: float = HEIGHT - _BOTTOM
    for number in reversed(range(len(places))):
        places[number] = min(places[number], limit)
        limit = places[number] - _LABEL_HEIGHT
    parted = [
        replace(line, label=Tick(place, line.label.label)) for line, place in zip(lines, places, strict=True)
    ]
    return sorted(parted, key=lambda line: line.series.style)


def _describe(series: Series, *, x_label: str) -> str:
    (first_x, first_y), (last_x, last_y) = series.points[0], series.points[-1]
    return (
        f"{series.name}: {format_number(first_y)} at {x_label} {first_x:g}, "
        f"{format_number(last_y)} at {x_label} {last_x:g}."
    )
