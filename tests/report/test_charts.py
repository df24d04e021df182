"""Line charts: where ticks, lines and labels go."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.report.charts import HEIGHT, WIDTH, Series, choose_ticks, draw_chart, format_number

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (4.1, 5.9, [4, 4.5, 5, 5.5, 6]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (3e-5, 3e-4, [0, 1e-4, 2e-4, 3e-4]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    """Ticks are at 1, 2 or 5 times a power of ten, and the outermost enclose the values."""
    assert choose_ticks(low, high) == pytest.approx(ticks)


@given(FINITE, FINITE)
def test_ticks_enclose_any_values(first: float, second: float) -> None:
    """There are three to eight ticks, in order, around any two values, even equal ones."""
    low, high = sorted((first, second))
    ticks = choose_ticks(low, high)
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert ticks == sorted(ticks)
    assert 2 <= len(ticks) <= 8
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack


@given(st.lists(st.tuples(st.integers(1, 100), FINITE), min_size=1, max_size=20))
def test_every_point_lies_on_the_canvas(points: list[tuple[int, float]]) -> None:
    """No line leaves the chart, whatever its values."""
    chart = draw_chart("key", "Title", [Series("one", points)])
    assert chart is not None
    for mark in chart.lines[0].marks:
        assert 0 <= mark.x <= WIDTH
        assert 0 <= mark.y <= HEIGHT


def test_a_higher_value_is_drawn_higher() -> None:
    """The vertical axis points up, the horizontal one to the right."""
    chart = draw_chart("key", "Title", [Series("one", [(1, 5.0), (2, 4.0)])])
    assert chart is not None
    first, second = chart.lines[0].marks
    assert first.y < second.y
    assert first.x < second.x


def test_values_at_the_ends_of_lines_do_not_cover_each_other() -> None:
    """Lines that end together keep their order, and their labels do not overlap. Only the best point is marked."""
    series = [Series("one", [(1, 5.0), (2, 4.0)], 0, best=2), Series("two", [(1, 5.0), (2, 4.01)], 1)]
    chart = draw_chart("key", "Title", series)
    assert chart is not None
    one, two = (line.label for line in chart.lines)
    assert one.place - two.place >= 14
    assert (one.label, two.label) == ("4", "4.01")
    assert [mark.is_best for line in chart.lines for mark in line.marks] == [False, True, False, False]


def test_what_is_not_finite_is_left_out() -> None:
    """They leave a gap in the line. Without any finite value there is no chart."""
    chart = draw_chart("key", "Title", [Series("one", [(1, math.nan), (2, 4.0), (3, math.inf)])])
    assert chart is not None
    assert len(chart.lines[0].marks) == 1
    assert draw_chart("key", "Title", [Series("one", [(1, math.nan)])]) is None
    assert draw_chart("key", "Title", []) is None


def test_a_chart_can_be_heard() -> None:
    """Its description says where each line begins and ends."""
    chart = draw_chart("key", "Title", [Series("validation", [(1, 5.5), (20, 4.2)])])
    assert chart is not None
    assert chart.description == "validation: 5.5 at epoch 1, 4.2 at epoch 20."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12500, "12,500"),
        (2.75, "2.75"),
        (3e-4, "3e-4"),
        (1.5e-5, "1.5e-5"),
        (-0.5, "\N{MINUS SIGN}0.5"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    """Numbers are written as a person would write them beside an axis."""
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0.6683, "0.668"),
        (-0.001473, "\N{MINUS SIGN}0.001"),
        (0.001473, "0.0015"),
        (-0.000149, "\N{MINUS SIGN}1e-4"),
        (12500.0, "12,500"),
    ],
)
def test_a_label_beside_a_line_is_short(value: float, label: str) -> None:
    """There is no room for more than six characters."""
    chart = draw_chart("key", "Title", [Series("gap", [(1, 0.5), (2, value)])])
    assert chart is not None
    assert chart.lines[0].label.label == label
