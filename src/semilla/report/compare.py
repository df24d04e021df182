"""Compares runs: which settings differ, which model is better, and whether the difference is significant.

Models are compared by bits per byte of the same validation text, which does not depend on the vocabulary. A difference
counts if it is larger than a change of seed would cause. That spread can only be estimated from runs that differ in
nothing but their seed. With few of them the estimate is poor, and Student's t widens the margin accordingly.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from semilla.configuration.settings import list_settings
from semilla.errors import InvalidConfigError
from semilla.records.metrics import EpochMetrics
from semilla.report.charts import Chart, Series, draw_chart
from semilla.report.curves import list_cursor_steps
from semilla.report.introduction import join_names
from semilla.report.page import render
from semilla.report.runs import RecordedRun
from semilla.report.side_by_side import align_grammar, align_samples
from semilla.report.verdict import Verdict

INDIFFERENT = {
    "seed", "output_directory", "resume_from_checkpoint", "skip_phases", "num_threads", "corpus_mirrors", "tracker",
    "keep_models", "keep_epochs",
}  # fmt: skip
"""Settings that may differ between runs of the same experiment."""
ABOUT_THE_START = {"output_directory", "resume_from_checkpoint", "skip_phases"}
"""Settings about where and how a run was started; they are no difference between models."""
_Z = statistics.NormalDist().inv_cdf(0.975)
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
"""Two-sided 95 % quantiles: of the normal distribution (z), and of Student's t for 1 to 9 degrees of freedom."""


@dataclass(frozen=True)
class Experiment:
    """Runs that differ in nothing but the seed."""

    runs: tuple[RecordedRun, ...]

    @property
    def name(self) -> str:
        return join_names([run.name for run in self.runs])

    @property
    def verb(self) -> str:
        return "are" if len(self.runs) > 1 else "is"

    @property
    def scores(self) -> list[float]:
        """The best bits per byte of each run."""
        return [measure_score(run) for run in self.runs]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def owner(self) -> str:
        """Whose figure ``mean`` is."""
        return f"{self.name} (mean)" if len(self.runs) > 1 else self.name


@dataclass(frozen=True)
class Spread:
    """Standard deviation over seeds, in bits per byte, and its degrees of freedom."""

    deviation: float
    freedom: int


def render_comparison(runs: Sequence[RecordedRun]) -> str:
    """Return the page that compares two or more runs.

    Raises InvalidConfigError if a run has no finished epoch.
    """
    untrained = [run.name for run in runs if not run.epochs]
    if untrained:
        cause = f"{', '.join(untrained)}: no epoch is finished, so there is nothing to compare"
        raise InvalidConfigError(cause)
    return render(
        "comparison.html.jinja",
        title=" and ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs",
        runs=runs,
        verdict=judge_runs(runs),
        charts=list_charts(runs),
        differences=list_differences(runs),
        samples=align_samples(runs),
        grammar=align_grammar(runs),
        steps=list_cursor_steps(runs),
        score=measure_score,
    )


def measure_score(run: RecordedRun) -> float:
    """Bits per byte of the best epoch, over all validation text."""
    assert run.best_epoch is not None
    return run.best_epoch.bits_per_byte["all"]


def judge_runs(runs: Sequence[RecordedRun]) -> Verdict:
    """Say which run is better, by how much, and whether seeds could explain it."""
    budgets = _describe_budgets(runs)
    if len({run.manifest.corpus_sha256 if run.manifest else "" for run in runs}) > 1:
        line = "These runs were measured on different texts, so their losses cannot be compared."
        return Verdict("warn", "Different texts", [line, *budgets], "")
    verdict = _judge_experiments(runs)
    return replace(verdict, lines=[*budgets, *verdict.lines])


def _judge_experiments(runs: Sequence[RecordedRun]) -> Verdict:
    best, *others = sorted(group_experiments(runs), key=lambda experiment: experiment.mean)
    if not others and len({run.config.seed for run in runs}) == 1:
        line = "The runs have the same settings and the same seed, so they say nothing about other seeds."
        return Verdict("open", "One run, repeated", [line], "")
    if not others:
        return Verdict("open", "One experiment, several seeds", [_describe_spread([best])], "")
    return _judge_gap(best, others)


def _judge_gap(best: Experiment, others: Sequence[Experiment]) -> Verdict:
    second = others[0]
    gap = second.mean - best.mean
    line = f"{best.owner}: {best.mean:.4f} bits per byte, {gap:.4f} less than {second.owner} with {second.mean:.4f}."
    spread = measure_spread([best, *others])
    if spread is None:
        repeat = (
            "Another seed might reverse the order. To find out, repeat one of the runs with another --seed."
        )
        return Verdict("open", f"{best.name} {best.verb} ahead", [line, repeat], "")
    margin = compute_margin(best, second, spread)
    basis = (
        f"{_describe_spread([best, *others])} With this many runs, equally good settings differ by less than "
        f"{margin:.4f} in 95 of 100 comparisons (Student's t, {spread.freedom} degrees of freedom)."
    )
    if gap > margin:
        return Verdict(
            "good", f"{best.name} {best.verb} better", [line, f"{basis} This difference is larger."], ""
        )
    more = "This difference is not larger; runs with more seeds would narrow the margin."
    return Verdict("warn", "No clear difference", [line, f"{basis} {more}"], "")


def _describe_budgets(runs: Sequence[RecordedRun]) -> list[str]:
    """Say, in one line, that runs trained for different numbers of epochs or have different sizes; else nothing."""
    budgets = [
        (run.name, len(run.epochs), run.get_details("model_training").get("num_parameters")) for run in runs
    ]
    if len({(epochs, size) for _, epochs, size in budgets}) == 1:
        return []
    parts = [
        f"{name}: {epochs} {'epoch' if epochs == 1 else 'epochs'}"
        + (f", {size:,} parameters" if size else "")
        for name, epochs, size in budgets
    ]
    return [f"These runs had different budgets. {'; '.join(parts)}. A larger budget alone lowers the loss."]


def group_experiments(runs: Sequence[RecordedRun]) -> list[Experiment]:
    """Group the runs that differ in nothing but the seed, in their order."""
    groups: dict[str, list[RecordedRun]] = {}
    for run in runs:
        key = repr({name: value for name, value in run.config.flatten().items() if name not in INDIFFERENT})
        groups.setdefault(key, []).append(run)
    return [Experiment(tuple(members)) for members in groups.values()]


def measure_spread(experiments: Sequence[Experiment]) -> Spread | None:
    """Standard deviation over seeds, pooled over the repeated experiments; None if there are none."""
    repeated = [experiment.scores for experiment in experiments if len(experiment.runs) > 1]
    if not repeated:
        return None
    squares = sum(statistics.variance(scores) * (len(scores) - 1) for scores in repeated)
    freedom = sum(len(scores) - 1 for scores in repeated)
    return Spread(float((squares / freedom) ** 0.5), freedom)


def compute_margin(one: Experiment, other: Experiment, spread: Spread) -> float:
    """The margin, in bits per byte, that contains the difference of two equal experiments 95 times in 100."""
    variance_of_difference = spread.deviation**2 * (1 / len(one.runs) + 1 / len(other.runs))
    return compute_student_t(spread.freedom) * float(variance_of_difference**0.5)


def compute_student_t(freedom: int) -> float:
    """The two-sided 95 % quantile. Beyond the table, an expansion (Abramowitz and Stegun 26.7.5), good to 0.0002."""
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
    return (
        f"The standard deviation over the seeds of {num_runs} runs is {spread.deviation:.4f} bits per byte."
    )


def list_charts(runs: Sequence[RecordedRun]) -> list[Chart]:
    """Bits per byte and validation loss by epoch, with a line for each run."""

    def trace(measure: Callable[[EpochMetrics], float]) -> list[Series]:
        return [
            Series(run.name, [(epoch.epoch_number, measure(epoch)) for epoch in run.epochs], style)
            for style, run in enumerate(runs)
        ]

    bits, losses = trace(lambda epoch: epoch.bits_per_byte["all"]), trace(lambda epoch: epoch.validation_loss)
    charts = [
        draw_chart("bits_per_byte", "Bits per byte", bits, unit="validation text"),
        draw_chart("loss", "Validation loss", losses, unit="nats per token"),
    ]
    return [chart for chart in charts if chart]


def list_differences(runs: Sequence[RecordedRun]) -> list[tuple[str, Sequence[Any]]]:
    """List the settings that differ between the runs, with their values."""
    values = [run.config.flatten() for run in runs]
    names = [name for name in list_settings() if name not in ABOUT_THE_START]
    rows = [(name, [settings[name] for settings in values]) for name in names]
    return [(name, row) for name, row in rows if any(value != row[0] for value in row)]
