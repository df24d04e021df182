"""The files of a source that are in no document, counted by reason."""

from __future__ import annotations

from dataclasses import dataclass

from semilla.report.runs import RecordedRun

MAX_NAMED = 3


@dataclass(frozen=True)
class LeftOutGroup:
    """Files that were left out for one reason: how many, the first names, and what was wrong with the first."""

    reason: str
    count: int
    named: tuple[str, ...]
    detail: str


def group_left_out(run: RecordedRun) -> list[LeftOutGroup]:
    """The reasons, the most frequent first; none for a run whose files are all in the text."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for one in run.manifest.left_out if run.manifest else []:
        groups.setdefault(one.reason, []).append((one.path, one.detail))
    ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return [
        LeftOutGroup(reason, len(files), tuple(path for path, _ in files[:MAX_NAMED]), files[0][1])
        for reason, files in ranked
    ]
