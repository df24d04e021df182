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


THRESHOLDS: dict[str, Threshold] = {
    "damaged_artifacts": Threshold("gate", "<=", 0, "files"),
    "validation_loss": Threshold("gate", "<", 5.0, NATS),  # the setting max_validation_loss
    "gain_over_frequencies": Threshold(
        "gate", ">=", 1.0, NATS
    ),  # not random noise; less where less is to gain
    "overfitting_gap": Threshold("target", "<=", OVERFITTING_GAP, NATS),
    "rss_mb": Threshold("gate", "<=", BUDGETS["rss_mb"], "MB"),
    "peak_mb": Threshold("gate", "<=", BUDGETS["peak_mb"], "MB"),
    "latency_p95_ms": Threshold("gate", "<=", BUDGETS["latency_p95_ms"], "ms"),
    "enforced_limit_mb": Threshold("gate", "<=", BUDGETS["peak_mb"], "MB"),
    "int8_cost": Threshold("target", "<=", 0.5, "%"),
    "language": Threshold("target", ">=", 0.9),
    "repetition": Threshold("target", "<=", 0.01),  # or what is usual in the training text, if that is more
    "copying_median": Threshold("target", "<=", 20, "tokens"),
    "minimal_pairs": Threshold("target", ">=", 0.9),
}
"""By the first part of the figure's name: ``language.en`` and ``language.es`` share one threshold."""


def judge(figures: Mapping[str, float], *, own_values: Mapping[str, float] | None = None) -> list[Finding]:
    """Compare each figure with its threshold; ``own_values`` replaces thresholds that depend on the run.

    A figure that is NaN was not measured, and does not pass.
    """
    findings = []
    for name, figure in figures.items():
        threshold = THRESHOLDS[name.partition(".")[0]]
        value = (own_values or {}).get(name, threshold.value)
        findings.append(
            Finding.judge(name, threshold.kind, figure, threshold.comparison, value, unit=threshold.unit)
        )
    return findings
