"""The texts of a run by format, and the files of its source that are in no text by reason."""

from __future__ import annotations

from dataclasses import dataclass

from semilla.report.runs import RecordedRun

MAX_LISTED = 50
"""Texts that the page lists one by one; ``corpus_manifest.json`` has all of them."""
MAX_NAMED = 3


@dataclass
class FormatGroup:
    """The texts of one format: how many, their documents, and what is kept and removed of them."""

    format: str
    texts: int = 0
    documents: int = 0
    kept_bytes: int = 0
    removed_characters: int = 0


@dataclass(frozen=True)
class LeftOutGroup:
    """Files that were left out for one reason: how many, the first names, and what was wrong with the first."""

    reason: str
    count: int
    named: tuple[str, ...]
    detail: str


def group_texts(run: RecordedRun) -> list[FormatGroup]:
    """The formats, that of most texts first; none for a run whose texts are all listed."""
    entries = run.manifest.documents if run.manifest else []
    if len(entries) <= MAX_LISTED:
        return []
    groups: dict[str, FormatGroup] = {}
    for entry in entries:
        group = groups.setdefault(entry.provenance.format, FormatGroup(entry.provenance.format))
        group.texts += 1
        group.documents += max(1, len(entry.document_bytes))
        group.kept_bytes += entry.end_byte - entry.start_byte
        group.removed_characters += sum(entry.removed.values())
    return sorted(groups.values(), key=lambda group: (-group.texts, group.format))


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
