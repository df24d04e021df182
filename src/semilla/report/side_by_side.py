"""What several runs wrote and what grammar they know, side by side: one row or group a language, one column a run."""

from __future__ import annotations

from collections.abc import Sequence

from semilla.records.results import PairAccuracy
from semilla.records.sample import Sample
from semilla.report.introduction import list_written
from semilla.report.runs import RecordedRun

ALL_PAIRS = "all pairs"

NamedSample = tuple[str, Sample, str]
"""The name of a run, its sample, and when it was drawn if the run has no finished model."""


def align_samples(runs: Sequence[RecordedRun]) -> list[tuple[str, list[NamedSample]]]:
    """For each language, the first sample of each run that has one."""
    found: dict[str, list[NamedSample]] = {}
    for run in runs:
        when = "" if run.results else f"after epoch {len(run.epochs)}"
        for place, sample in enumerate(list_written(run)):
            language = sample.language or "".join(run.languages[place : place + 1])
            found.setdefault(language, []).append((run.name, sample, when))
    return list(found.items())


def align_grammar(
    runs: Sequence[RecordedRun],
) -> list[tuple[str, list[tuple[str, list[PairAccuracy | None]]]]]:
    """For each language, rows of results by run: first of all pairs, then by phenomenon. None was not measured."""
    measured = [run.results.minimal_pairs if run.results else {} for run in runs]
    tables = []
    for language in dict.fromkeys(language for one in measured for language in one):
        results = [one.get(language) for one in measured]
        phenomena = sorted({key for one in results if one for key in one.phenomena})
        rows: list[tuple[str, list[PairAccuracy | None]]] = [(ALL_PAIRS, list(results))]
        for key in phenomena:
            row = [one.phenomena.get(key) if one else None for one in results]
            rows.append((key.replace("_", " "), row))
        tables.append((language, rows))
    return tables
