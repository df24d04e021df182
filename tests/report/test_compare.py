"""Runs beside each other: which is better, and whether that means anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from semilla.errors import InvalidConfigError
from semilla.report.compare import (
    compute_student_t,
    group_experiments,
    judge_runs,
    list_differences,
    measure_spread,
    render_comparison,
)
from semilla.report.runs import RecordedRun

MakeRun = Callable[..., RecordedRun]
ARCHITECTURE = {"model_architecture": {"num_layers": 4}}


def test_without_repeated_runs_nothing_is_proven(make_run: MakeRun) -> None:
    """The better one is ahead, no more: another seed might turn it round."""
    verdict = judge_runs([make_run("a", losses=(4.5,)), make_run("b", losses=(4.0,), **ARCHITECTURE)])
    assert (verdict.tone, verdict.headline) == ("open", "b is ahead")
    assert "another --seed" in verdict.lines[1]


@pytest.mark.parametrize(
    ("losses", "tone"), [((4.50, 4.52, 4.0), "good"), ((4.3, 4.5, 4.39), "warn")], ids=["clear", "not clear"]
)
def test_a_difference_is_held_against_the_spread_of_seeds(
    make_run: MakeRun, losses: tuple[float, float, float], tone: str
) -> None:
    """Two seeds of one experiment tell how much chance alone moves the figure."""
    runs = [make_run(f"seed{seed}", losses=(losses[seed],), seed=seed) for seed in (0, 1)]
    verdict = judge_runs([*runs, make_run("deeper", losses=(losses[2],), **ARCHITECTURE)])
    assert verdict.tone == tone


def test_the_spread_is_the_standard_deviation_over_seeds(make_run: MakeRun) -> None:
    """0.1 nats apart at 2.5 bytes a token and two runs: 0.04 / sqrt(2) bits per byte, as defined by the fixture."""
    runs = [make_run(f"seed{seed}", losses=(4.0 + seed / 10,), seed=seed) for seed in (0, 1)]
    spread = measure_spread(group_experiments(runs))
    assert spread is not None
    assert spread.deviation == pytest.approx(0.04 / 2**0.5)
    assert spread.freedom == 1


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (4, 2.7764), (9, 2.2622), (10, 2.2281), (12, 2.1788), (30, 2.0423)],
)
def test_quantiles_of_student_t(freedom: int, quantile: float) -> None:
    """As tables print them, also where they are computed."""
    assert compute_student_t(freedom) == pytest.approx(quantile, abs=2e-4)


@pytest.mark.parametrize(("num_runs", "num_deeper", "tone"), [(2, 1, "warn"), (4, 4, "good")])
def test_few_seeds_widen_the_margin(make_run: MakeRun, num_runs: int, num_deeper: int, tone: str) -> None:
    """0.06 bits per byte apart where seeds make 0.02: nothing with two seeds of one, a difference with four of both."""
    runs = [
        make_run(f"{name}{seed}", losses=(loss + 0.05 * (seed % 2),), seed=seed, **settings)
        for name, count, loss, settings in (("s", num_runs, 4.5, {}), ("d", num_deeper, 4.35, ARCHITECTURE))
        for seed in range(count)
    ]
    assert judge_runs(runs).tone == tone


def test_the_margin_is_explained(make_run: MakeRun) -> None:
    """12.71 deviations of 0.0283, times the root of 1/2 + 1: what two seeds of one and one of the other allow."""
    runs = [make_run(f"seed{seed}", losses=(4.0 + seed / 10,), seed=seed) for seed in (0, 1)]
    verdict = judge_runs([*runs, make_run("deeper", losses=(4.0,), **ARCHITECTURE)])
    assert verdict.headline == "No clear difference"
    margin = 12.7062 * 0.04 / 2**0.5 * 1.5**0.5
    assert f"less than {margin:.4f} apart in 95 of 100 comparisons" in verdict.lines[1]
    assert "degrees of freedom: 1)" in verdict.lines[1]


def test_different_texts_are_not_compared(make_run: MakeRun) -> None:
    """A lower loss on an easier text says nothing."""
    verdict = judge_runs([make_run("a", text="uno"), make_run("b", text="otro", losses=(3.0,))])
    assert verdict.headline == "Different texts"


def test_what_was_set_differently(make_run: MakeRun) -> None:
    """Only settings that are not the same in all runs are listed, with the value in each."""
    runs = [make_run("a"), make_run("b", seed=7, **ARCHITECTURE)]
    assert list_differences(runs) == [("num_layers", [2, 4]), ("seed", [0, 7])]


def test_the_page_shows_both_curves(make_run: MakeRun) -> None:
    """Each run is a line of each chart and a row of the table."""
    page = render_comparison([make_run("uno"), make_run("dos", **ARCHITECTURE)])
    assert page.count('<path class="line style1"') == 4  # two charts, and their legends
    assert '<th scope="row">dos</th>' in page


def test_a_run_without_an_epoch_is_refused(make_run: MakeRun) -> None:
    """There is nothing to compare it by."""
    run = make_run("young", losses=(5.0,))
    run.metrics.epoch_history.clear()
    with pytest.raises(InvalidConfigError, match="young: no epoch is finished"):
        render_comparison([make_run("old"), run])
