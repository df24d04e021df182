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

SLOW: dict[str, str] = {
    "durability/test_kept_models.py::test_a_killed_retraining_costs_neither_the_earlier_model_nor_a_bit_of_the_next": (
        "retrains again and again; test_archive.py kills between any two calls"
    ),
    "durability/test_memory_failures.py::test_memory_does_not_creep": "trains for twenty epochs",
    "durability/test_memory_failures.py::test_one_slow_core_changes_nothing_but_the_time": "trains beside other work",
    "pipeline/test_failures.py::test_predicted_lack_of_memory_suggests_a_batch_that_fits": "rehearses large batches",
    "pipeline/test_pipeline.py::test_running_out_of_memory_suggests_a_batch_size_that_runs": "two runs of 12 layers",
    "pipeline/test_pipeline.py::test_the_status_is_valid_at_every_instant": "reads the status through a whole run",
    "pipeline/test_sweep.py::test_a_sweep_killed_anywhere_ends_as_if_it_had_not_been": "kills a sweep at many places",
    "stories/test_sample_documents.py::test_five_megabytes_can_be_made": "makes five megabytes of stories",
    "stories/test_sample_spanish.py::test_every_adjective_agrees_with_every_noun": "tries every pair of words",
    "test_real_books.py::test_the_catalogue_trains_from_a_mirror": "trains on three books",
}
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
