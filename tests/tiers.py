"""Which tests are slow: those that ``scripts/test`` leaves out and ``scripts/test --all`` runs.

A test is slow by its own marker, ``@pytest.mark.slow(reason=...)``, or by a line here. The fast tests keep a sample of
every kind of check.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

SAMPLED = {
    "durability": "every case trains, fails or is killed, and resumes",
    "guide/test_examples.py": "every chapter trains a model of its own",
    "training/test_memory.py": "every case trains in a process of its own to measure its peak",
    "training/test_gradients.py": "every case repeats the backward pass in other parts",
    "pipeline/test_failures.py": "every case is a whole run",
    "pipeline/test_pipeline.py": "every case is a whole run",
}
"""Of each test with parameters in these files and folders, all cases but the first are slow."""

SLOW: dict[str, str] = {}
"""Single tests that are slow, as ``folder/file.py::test_name``."""


def mark_slow_tests(items: Iterable[pytest.Item]) -> None:
    """Give every slow test its marker; raises UsageError for a marker without a reason."""
    seen: set[tuple[Path, str]] = set()
    for item in items:
        place = item.path.relative_to(TESTS).as_posix() if item.path.is_relative_to(TESTS) else ""
        name = getattr(item, "originalname", item.name)
        reason = SLOW.get(f"{place}::{name}") or find_sample_reason(place)
        if f"{place}::{name}" in SLOW or (reason and (item.path, name) in seen):
            item.add_marker(pytest.mark.slow(reason=reason))
        seen.add((item.path, name))
        if any(not mark.kwargs.get("reason") for mark in item.iter_markers("slow")):
            raise pytest.UsageError(f"{item.nodeid}: a slow test needs a reason")


def find_sample_reason(place: str) -> str | None:
    """Why only the first case of each test in this file is fast, if that is so."""
    parts = [place, *(parent.as_posix() for parent in Path(place).parents)]
    return next((SAMPLED[part] for part in parts if part in SAMPLED), None)
