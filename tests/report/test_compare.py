"""Runs compared: which is better, and whether the difference is significant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from semilla.errors import InvalidConfigError
from semilla.records.sample import Sample
from semilla.report.compare import (
    compute_student_t,
    group_experiments,
    judge_runs,
    list_differences,
    measure_spread,
    render_comparison,
)
from semilla.report.curves import list_cursor_steps
from semilla.report.runs import RecordedRun
from semilla.report.side_by_side import ALL_PAIRS, align_grammar, align_samples

MakeRun = Callable[..., RecordedRun]
ARCHITECTURE = {"model_architecture": {"num_layers": 4}}


def test_without_repeated_runs_nothing_is_proven(make_run: MakeRun) -> None:
    """The better run is only ahead: another seed might reverse the order."""
    verdict = judge_runs([make_run("a", losses=(4.5,)), make_run("b", losses=(4.0,), **ARCHITECTURE)])
    assert (verdict.tone, verdict.headline) == ("open", "b is ahead")
    assert "another --seed" in verdict.lines[1]


@pytest.mark.parametrize(
    ("losses", "tone"), [((4.50, 4.52, 4.0), "good"), ((4.3, 4.5, 4.39), "warn")], ids=["clear", "not clear"]
)
def test_a_difference_is_compared_with_the_spread_of_seeds(
    make_run: MakeRun, losses: tuple[float, float, float], tone: str
) -> None:
    """Two seeds of one experiment show how much the figure varies by chance."""
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
    """They are those of printed tables, including the computed ones."""
    assert compute_student_t(freedom) == pytest.approx(quantile, abs=2e-4)


def test_a_run_repeated_is_no_second_seed(make_run: MakeRun) -> None:
    """Two runs with the same settings and seed say nothing about the spread."""
    repeated = judge_runs([make_run("a", losses=(4.5,)), make_run("b", losses=(4.5,))])
    assert repeated.headline == "One run, repeated"
    seeds = judge_runs([make_run("c", losses=(4.5,), seed=1), make_run("d", losses=(4.5,), seed=2)])
    assert seeds.headline == "One experiment, several seeds"


@pytest.mark.parametrize(("num_runs", "num_deeper", "tone"), [(2, 1, "warn"), (4, 4, "good")])
def test_few_seeds_widen_the_margin(make_run: MakeRun, num_runs: int, num_deeper: int, tone: str) -> None:
    """A gap of 0.06 bits per byte with a spread of 0.02 is significant with 4 seeds of each, not with 2 and 1."""
    runs = [
        make_run(f"{name}{seed}", losses=(loss + 0.05 * (seed % 2),), seed=seed, **settings)
        for name, count, loss, settings in (("s", num_runs, 4.5, {}), ("d", num_deeper, 4.35, ARCHITECTURE))
        for seed in range(count)
    ]
    assert judge_runs(runs).tone == tone


def test_the_margin_is_explained(make_run: MakeRun) -> None:
    """It is 12.71 deviations of 0.0283, times the root of 1/2 + 1, for two seeds of one and one of the other."""
    runs = [make_run(f"seed{seed}", losses=(4.0 + seed / 10,), seed=seed) for seed in (0, 1)]
    verdict = judge_runs([*runs, make_run("deeper", losses=(4.0,), **ARCHITECTURE)])
    assert verdict.headline == "No clear difference"
    margin = 12.7062 * 0.04 / 2**0.5 * 1.5**0.5
    assert f"differ by less than {margin:.4f} in 95 of 100 comparisons" in verdict.lines[1]
    assert ", 1 degrees of freedom)" in verdict.lines[1]


def test_different_texts_are_not_compared(make_run: MakeRun) -> None:
    """A lower loss on an easier text means nothing. Different budgets are said all the same."""
    verdict = judge_runs([make_run("a", text="uno"), make_run("b", text="otro", losses=(3.0,))])
    assert verdict.headline == "Different texts"
    assert "a: 3 epochs" in verdict.lines[1]


def test_settings_that_differ_are_listed(make_run: MakeRun) -> None:
    """Settings that are the same in all runs are left out."""
    runs = [make_run("a"), make_run("b", seed=7, **ARCHITECTURE)]
    assert list_differences(runs) == [("num_layers", [2, 4]), ("seed", [0, 7])]


def test_how_a_run_was_started_is_no_difference(make_run: MakeRun) -> None:
    """A resumed run has the same settings as one that was not interrupted."""
    runs = [make_run("a"), make_run("b", resume_from_checkpoint=True, skip_phases={"corpus_download"})]
    assert list_differences(runs) == []


def test_different_budgets_are_said_first(make_run: MakeRun) -> None:
    """More epochs or parameters lower the loss by themselves."""
    runs = [make_run("short", losses=(5.0,)), make_run("long", losses=(5.0, 4.0, 3.9))]
    verdict = judge_runs(runs)
    assert verdict.lines[0] == (
        "These runs had different budgets. short: 1 epoch, 654,321 parameters; long: 3 epochs, 654,321 parameters. "
        "A larger budget alone lowers the loss."
    )
    same = judge_runs([make_run("one", losses=(5.0,)), make_run("two", losses=(4.0,), **ARCHITECTURE)])
    assert "budget" not in " ".join(same.lines)


@pytest.mark.parametrize(
    ("seeds", "headline"),
    [((0, 1), "seed0 and seed1 are better"), ((0, 1, 2), "seed0, seed1 and seed2 are better")],
)
def test_several_runs_of_one_experiment_are_better(
    make_run: MakeRun, seeds: tuple[int, ...], headline: str
) -> None:
    """The headline is a sentence."""
    runs = [make_run(f"seed{seed}", losses=(3.0 + seed / 1000,), seed=seed) for seed in seeds]
    others = [make_run(f"deep{seed}", losses=(4.5,), seed=seed, **ARCHITECTURE) for seed in seeds]
    assert judge_runs([*runs, *others]).headline == headline


def test_the_page_shows_both_curves(make_run: MakeRun) -> None:
    """Each run is a line of each chart and a row of the table."""
    page = render_comparison([make_run("uno"), make_run("dos", **ARCHITECTURE)])
    assert page.count('<path class="line style1"') == 4  # two charts, and their legends
    assert '<th scope="row">dos</th>' in page


def test_samples_and_grammar_stand_side_by_side(make_run: MakeRun) -> None:
    """Each language has a sample of every run, and each phenomenon a result of every run that measured it."""
    runs = [make_run("uno"), make_run("dos", **ARCHITECTURE)]
    assert runs[1].results is not None
    runs[1].results.minimal_pairs["es"].phenomena.pop("negation")
    for run in runs:
        assert run.results is not None
        run.results.samples = [Sample(language=language, text=f"{language} 1") for language in ("en", "es")]
    samples = align_samples(runs)
    assert [(language, [name for name, _, _ in texts]) for language, texts in samples] == [
        ("en", ["uno", "dos"]),
        ("es", ["uno", "dos"]),
    ]
    [(language, rows)] = align_grammar(runs)
    assert language == "es"
    shown = [(name, [one and one.accuracy for one in results]) for name, results in rows]
    assert shown == [(ALL_PAIRS, [0.75, 0.75]), ("negation", [0.625, None]), ("tu usted", [1.0, 1.0])]
    page = render_comparison(runs)
    assert "not measured" in page
    assert "What each run wrote" in page


def test_every_figure_names_its_run(make_run: MakeRun) -> None:
    """The sentence has both names beside both figures."""
    verdict = judge_runs([make_run("a", losses=(4.5,)), make_run("b", losses=(4.0,), **ARCHITECTURE)])
    assert verdict.lines[0] == "b: 1.6000 bits per byte, 0.2000 less than a with 1.8000."


def test_the_cursor_names_the_place_of_each_run(make_run: MakeRun) -> None:
    """Runs of different lengths have their own steps and times."""
    steps = list_cursor_steps([make_run("short", losses=(5.0,)), make_run("long", losses=(5.0, 4.0))])
    assert [step["place"] for step in steps] == [
        "epoch 1 of 2 · short: 7.0 s · long: 7.0 s",
        "epoch 2 of 2 · long: 14 s",
    ]


def test_a_run_without_an_epoch_is_refused(make_run: MakeRun) -> None:
    """Without an epoch there is nothing to compare."""
    run = make_run("young", losses=(5.0,))
    run.metrics.epoch_history.clear()
    with pytest.raises(InvalidConfigError, match="young: no epoch is finished"):
        render_comparison([make_run("old"), run])
