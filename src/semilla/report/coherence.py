"""The stories of a model as rows: how many hold together, and the contradictions in the others."""

from __future__ import annotations

from dataclasses import dataclass

from semilla.records.results import CoherenceResults
from semilla.stories.reader import KINDS


@dataclass(frozen=True)
class ContradictionRow:
    """One kind of contradiction: what it means, in how many stories it occurs, and a sentence that has it."""

    kind: str
    meaning: str
    num_stories: int
    example: str


def list_contradictions(results: CoherenceResults) -> list[ContradictionRow]:
    """The kinds that occur, the most frequent first."""
    rows = sorted(results.contradictions.items(), key=lambda row: (-row[1], row[0]))
    return [
        ContradictionRow(kind, KINDS.get(kind, ""), count, results.examples.get(kind, ""))
        for kind, count in rows
    ]
