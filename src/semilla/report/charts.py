"""Lays out line charts: where each line, tick and label goes. The templates draw them as SVG.

Unlike the pictures of a plotting library, this SVG follows the page's light and dark colours, and a report stays at
some tens of kilobytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 440, 250
"""Small enough that labels stay readable when a phone shrinks the chart."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 58, 14, 40
_NUM_TICKS = 5
_LABEL_HEIGHT = 15
_LABEL_CHARACTERS = 6
_MINIMUM_SPAN = 1e-9

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A line: its name in the legend, its points, the number of its style, and the x of a point to mark as best."""

    name: str
    points: Sequence[Point]
    style: int = 0
    best: float | None = None


@dataclass(frozen=True)
class Tick:
    """A position on an axis, and the label at it."""

    place: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A point of the chart: its place, its epoch, its value as shown, and its tooltip."""

    x: float
    y: float
    epoch: float
    label: str
    text: str
    is_best: bool


@dataclass(frozen=True)
class Line:
    """A series as drawn: ``path`` is SVG path data, ``label`` the last value, beside the end of the line."""

    series: Series
    path: str
    marks: Sequence[Mark]
    label: Tick


@dataclass(frozen=True)
class Chart:
    """A chart of WIDTH x HEIGHT units. ``description`` is for readers who cannot see it."""

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
    """Lay out the finite points of ``series`` on common axes. Return None if there are no points."""
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
        _separate_labels([_draw_line(one, x_scale, y_scale, x_label=x_label) for one in drawn]),
        [Tick(x_scale.place(value), format_number(value)) for value in x_scale.ticks],
        [Tick(y_scale.place(value), format_number(value)) for value in y_scale.ticks],
    )


def choose_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round values that span ``low`` to ``high``, in steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, _MINIMUM_SPAN, abs(high) * _MINIMUM_SPAN)
    rough = span / _NUM_TICKS
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= rough * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def format_number(value: float) -> str:
    """Write a number briefly: 12,500, 2.75, 3e-4."""
    if value < 0:
        return "\N{MINUS SIGN}" + format_number(-value)
    if value == 0:
        return "0"
    if value >= 1000:
        return f"{value:,.0f}"
    if value < 0.001:
        return f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")
    return f"{value:.4g}"


@dataclass(frozen=True)
class _Scale:
    """A linear map from values to positions in the chart, with its ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]

    @classmethod
    def fit(cls, values: Sequence[float], start: float, end: float, *, whole: bool = False) -> _Scale:
        """Cover ``values``: tightly for whole numbers, otherwise out to the outermost ticks."""
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
        Mark(
            x_scale.place(x),
            y_scale.place(y),
            x,
            format_number(y),
            f"{series.name}, {x_label} {x:g}: {y:.5g}",
            x == series.best,
        )
        for x, y in series.points
    ]
    path = "M" + " L".join(f"{mark.x:g},{mark.y:g}" for mark in marks)
    return Line(series, path, marks, Tick(marks[-1].y, _format_end(series.points[-1][1])))


def _format_end(value: float) -> str:
    """At most three significant digits, and as few as fit beside the line."""
    if abs(value) >= 1000:
        return format_number(value)
    texts = [format_number(float(f"{value:.{digits}g}")) for digits in (3, 2, 1)]
    return next((text for text in texts if len(text) <= _LABEL_CHARACTERS), texts[-1])


def _separate_labels(lines: Sequence[Line]) -> list[Line]:
    """Move labels that overlap apart: first downwards, then upwards from the axis."""
    lines = sorted(lines, key=lambda line: line.label.place)
    places: list[float] = []
    for line in lines:
        places.append(max(line.label.place, places[-1] + _LABEL_HEIGHT if places else -math.inf))
    limit: float = HEIGHT - _BOTTOM
    for number in reversed(range(len(places))):
        places[number] = min(places[number], limit)
        limit = places[number] - _LABEL_HEIGHT
    labels = [Tick(place, line.label.label) for line, place in zip(lines, places, strict=True)]
    separated = [replace(line, label=label) for line, label in zip(lines, labels, strict=True)]
    return sorted(separated, key=lambda line: line.series.style)


def _describe(series: Series, *, x_label: str) -> str:
    (first_x, first_y), (last_x, last_y) = series.points[0], series.points[-1]
    return (
        f"{series.name}: {format_number(first_y)} at {x_label} {first_x:g}, "
        f"{format_number(last_y)} at {x_label} {last_x:g}."
    )
