"""What ``--minutes`` chose for a run, and what it expected of it."""

from __future__ import annotations

from typing import Any

from semilla.records.record import Record


class RunPlan(Record):
    """``settings`` are all that a plan chooses, by name, also those that the user set."""

    minutes: float
    corpus: str
    """Hash of the text that was planned for, and of its split."""
    settings: dict[str, Any]
    bits_per_byte: float
    bits_low: float
    """Nine in ten texts lie between this and ``bits_high``."""
    bits_high: float
    seconds: float
    """Of the whole run."""
    memory_mb: float
