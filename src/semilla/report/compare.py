"""Runs beside each other: whose settings differ, which model is better, and whether that means anything.

Models are compared by bits per byte of the same validation text, which does not depend on the vocabulary. A difference
counts once it exceeds what other seeds alone would make of it. That spread is only known from runs that differ in
nothing but their seed, and from few of them badly: Student's t says how much wider the margin must be for that.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semilla.configuration.settings import list_settings
from semilla.errors import InvalidConfigError
from semilla.report.charts import Chart, Series, draw_chart
from semilla.report.page import render
from semilla.report.runs import RecordedRun
from semilla.report.verdict import Verdict

INDIFFERENT = {
    "seed",
    "output_directory",
    "resume_from_checkpoint",
    "skip_phases",
    "num_threads",
    "corpus_mirrors",
    "tracker",
    "keep_models",
}
"""Settings that do not make a run another experiment."""
_Z = statistics.NormalDist().inv_cdf(0.975)
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""Standard deviations that 95 of 100 differences lie within: of known deviations (z), and by degrees of freedom."""


@dataclass(frozen=True)
class Experiment:
    """Runs that differ in nothing but the seed."""

    runs: tuple[RecordedRun, ...]

    @property
    def name(self) -> str:
        return ", ".join(run.name for run in self.runs)

    @property
    def scores(self) -> list[float]:
        """The best bits per byte of each run."""
        return [measure_score(run) for run in self.runs]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)


@dataclass(frozen=True)
class Spread:
    """Standard deviation over seeds, in bits per byte, and on how many differences it rests (degrees of freedom)."""

    deviation: float
    freedom: int


def render_comparison(runs: Sequence[RecordedRun]) -> str:
    """The page that holds two or more runs against each other.

    Raises InvalidConfigError for a run without a finished epoch.
    """
    untrained = [run.name for run in runs if not run.epochs]
    if untrained:
        raise InvalidConfigError(
            f"{', '.join(untrained)}: no epoch is finished, so there is nothing to compare"
        )
    return render(
        "comparison.html.jinja",
        title=" and ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs",
        runs=runs,
        verdict=judge_runs(runs),
        charts=list_charts(runs),
        differences=list_differences(runs),
        score=measure_score,
    )


def measure_score(run: RecordedRun) -> float:
    """Bits per byte of the best epoch, over all validation text."""
    assert run.best_epoch is not None
    return run.best_epoch.bits_per_byte["all"]


def judge_runs(runs: Sequence[RecordedRun]) -> Verdict:
    """Say which run is better, by how much, and whether seeds could explain it."""
    if len({run.manifest.corpus_sha256 if run.manifest else "" for run in runs}) > 1:
        line = "These runs were measured on different texts, so their losses cannot be compared."
        return Verdict("warn", "Different texts", [line], "")
    best, *others = sorted(group_experiments(runs), key=lambda experiment: experiment.mean)
    if not others:
        return Verdict("open", "One experiment, several seeds", [_describe_spread([best])], "")
    gap = others[0].mean - best.mean
    line = f"{best.mean:.4f} bits per byte against {others[0].mean:.4f} of {others[0].name}: {gap:.4f} less."
    spread = measure_spread([best, *others])
    if spread is None:
        repeat = "Whether another seed would turn it round is not known: repeat one run with another --seed."
        return Verdict("open", f"{best.name} is ahead", [line, repeat], "")
    margin = compute_margin(best, others[0], spread)
    told = (
        f"{_describe_spread([best, *others])} From so many, settings that are equally good come out less than "
        f"{margin:.4f} apart in 95 of 100 comparisons (Student's t, degrees of freedom: {spread.freedom})."
    )
    if gap > margin:
        return Verdict("good", f"{best.name} is better", [line, f"{told} The difference exceeds that."], "")
    more = "It does not exceed that; runs with more seeds would narrow the margin."
    return Verdict("warn", "No clear difference", [line, f"{told} {more}"], "")


def group_experiments(runs: Sequence[RecordedRun]) -> list[Experiment]:
    """Put the runs together that differ in nothing but the seed, in the order they came."""
    groups: dict[str, list[RecordedRun]] = {}
    for run in runs:
        key = repr({name: value for name, value in run.config.flatten().items() if name not in INDIFFERENT})
        groups.setdefault(key, []).append(run)
    return [Experiment(tuple(members)) for members in groups.values()]


def measure_spread(experiments: Sequence[Experiment]) -> Spread | None:
    """Standard deviation over seeds, pooled over the experiments that were repeated; None when none was."""
    repeated = [experiment.scores for experiment in experiments if len(experiment.runs) > 1]
    if not repeated:
        return None
    squares = sum(statistics.variance(scores) * (len(scores) - 1) for scores in repeated)
    freedom = sum(len(scores) - 1 for scores in repeated)
    return Spread(float((squares / freedom) ** 0.5), freedom)


def compute_margin(one: Experiment, other: Experiment, spread: Spread) -> float:
    """Bits per byte within which the means of two equal experiments differ 95 times in 100."""
    variance_of_difference = spread.deviation**2 * (1 / len(one.runs) + 1 / len(other.runs))
    return compute_student_t(spread.freedom) * float(variance_of_difference**0.5)


def compute_student_t(freedom: int) -> float:
    """The two-sided 95 % quantile; beyond the table, its expansion (Abramowitz and Stegun 26.7.5), good to 0.0002."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    terms = (
        _Z,
        (_Z**3 + _Z) / 4,
        (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96,
        (3 * _Z**7 + 19 * _Z**5 + 17 * _Z**3 - 15 * _Z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def _describe_spread(experiments: Sequence[Experiment]) -> str:
    spread = measure_spread(experiments)
    assert spread is not None
    num_runs = sum(len(experiment.runs) for experiment in experiments if len(experiment.runs) > 1)
    return f"Over the seeds of {num_runs} repeated runs the standard deviation is {spread.deviation:.4f} bits per byte."


def list_charts(runs: Sequence[RecordedRun]) -> list[Chart]:
    """Validation loss and bits per byte over the epochs, a line for each run."""
    losses = [
        Series(run.name, [(epoch.epoch_number, epoch.validation_loss) for epoch in run.epochs], place)
        for place, run in enumerate(runs)
    ]
    bits = [
        Series(run.name, [(epoch.epoch_number, epoch.bits_per_byte["all"]) for epoch in run.epochs], place)
        for place, run in enumerate(runs)
    ]
    charts = [
        draw_chart("bits_per_byte", "Bits per byte", bits, unit="validation text"),
        draw_chart("loss", "Validation loss", losses, unit="nats per token"),
    ]
    return [chart for chart in charts if chart]


def list_differences(runs: Sequence[RecordedRun]) -> list[tuple[str, Sequence[Any]]]:
    """Every setting that is not the same in all runs, with its value in each."""
    values: list[Mapping[str, Any]] = [run.config.flatten() for run in runs]
    names = [name for name in list_settings() if name != "output_directory"]
    rows = [(name, [settings[name] for settings in values]) for name in names]
    return [(name, row) for name, row in rows if any(value != row[0] for value in row)]
