"""Every gate and target of the validation, and the comparison of a run's figures with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from semilla.records.metrics import OVERFITTING_GAP
from semilla.records.results import Comparison, Finding, Kind
from semilla.runtime.budgets import BUDGETS

NATS = "nats per token"


@dataclass(frozen=True)
class Threshold:
    """What a figure is compared with. A missed gate fails the run; a missed target is a warning."""

    kind: Kind
    comparison: Comparison
    value: float
    unit: str = ""
    reason: str = ""
    """What a miss means, where the name does not say it."""


THRESHOLDS: dict[str, Threshold] = {
    "damaged_artifacts": Threshold("gate", "<=", 0, "files"),
    "validation_loss": Threshold("gate", "<", 5.0, NATS),  # the setting max_validation_loss
    # Not random noise; the text may have less to gain.
    "gain_over_frequencies": Threshold("gate", ">=", 1.0, NATS),
    "gain_over_uniform": Threshold(
        "gate", ">", 0, NATS, "guessing evenly among all tokens predicts the held-out text as well"
    ),
    "gain_since_first_epoch": Threshold(
        "gate", ">=", 0, NATS, "every later epoch predicts the held-out text worse than the first"
    ),
    "overfitting_gap": Threshold("target", "<=", OVERFITTING_GAP, NATS),
    "rss_mb": Threshold("gate", "<=", BUDGETS["rss_mb"], "MB"),
    "peak_mb": Threshold("gate", "<=", BUDGETS["peak_mb"], "MB"),
    "latency_p95_ms": Threshold("gate", "<=", BUDGETS["latency_p95_ms"], "ms"),
    "enforced_limit_mb": Threshold("gate", "<=", BUDGETS["peak_mb"], "MB"),
    "int8_cost": Threshold("target", "<=", 0.5, "%"),
    "invented_words": Threshold("target", "<=", 0.005),
    "ended": Threshold("target", ">=", 0.9),  # less where many held-out documents are longer than a sample
    "language": Threshold("target", ">=", 0.9),
    "repetition": Threshold("target", "<=", 0.01),  # or what is usual in the training text, if that is more
    "copying_median": Threshold("target", "<=", 20, "tokens"),  # more where held-out documents share more
    "minimal_pairs": Threshold("target", ">=", 0.9),
    "coherence": Threshold("target", ">=", 0.5),
}
"""By the first part of the figure's name: ``language.en`` and ``language.es`` share one threshold."""


def judge(figures: Mapping[str, float], *, own_values: Mapping[str, float] | None = None) -> list[Finding]:
    """Compare each figure with its threshold; ``own_values`` replaces thresholds that depend on the run.

    A figure that is NaN was not measured, and does not pass.
    """
    findings = []
    for name, figure in figures.items():
        threshold = find_threshold(name)
        value = (own_values or {}).get(name, threshold.value)
        findings.append(
            Finding.judge(name, threshold.kind, figure, threshold.comparison, value, unit=threshold.unit)
        )
    return findings


def find_threshold(name: str) -> Threshold:
    """The threshold of a figure: ``language.en`` -> that of language."""
    return THRESHOLDS[name.partition(".")[0]]
