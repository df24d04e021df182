"""Figures are compared with their thresholds, all in one table."""

from __future__ import annotations

import math

import pytest

from semilla.evaluation.gates import THRESHOLDS, judge
from semilla.runtime.budgets import BUDGETS


@pytest.mark.parametrize("name", BUDGETS)
def test_a_figure_may_reach_its_budget_but_not_exceed_it(name: str) -> None:
    """At the limit it passes; one above it does not, and the finding names the figure and the limit."""
    (reached,), (exceeded,) = judge({name: BUDGETS[name]}), judge({name: BUDGETS[name] + 1})
    assert (reached.passed, exceeded.passed) == (True, False)
    assert (exceeded.name, exceeded.kind, exceeded.threshold) == (name, "gate", BUDGETS[name])


def test_languages_share_a_threshold_and_a_run_may_have_its_own() -> None:
    """The findings keep the order and the full names of the figures."""
    figures = {
        "validation_loss": 3.0,
        "language.en": 0.95,
        "minimal_pairs.es.accuracy": 0.5,
        "repetition": 0.02,
    }
    findings = judge(figures, own_values={"validation_loss": 2.5, "repetition": 0.03})
    assert [finding.name for finding in findings] == list(figures)
    assert [finding.passed for finding in findings] == [False, True, False, True]
    assert [finding.threshold for finding in findings] == [2.5, 0.9, 0.9, 0.03]
    assert [finding.kind for finding in findings] == ["gate", "target", "target", "target"]


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_figure_that_was_not_measured_does_not_pass(name: str) -> None:
    """NaN is kept as no value, and misses every threshold."""
    (finding,) = judge({name: math.nan})
    assert (finding.value, finding.passed) == (None, False)
