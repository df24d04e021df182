"""Chooses the documents that are held out for validation, whole, where a language has many short ones.

They are a tenth of the text or more, chosen by hash. Near-duplicates, and documents of one group (stories about the
same combination), are chosen together: no held-out document has a relative in the training text. Documents that are
long for the text they are in are not chosen; ``semilla.corpus.split`` cuts those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from semilla.corpus.near_duplicates import Clusters, Sketch
from semilla.corpus.split import VALIDATION_SHARE

LONG_SHARE = 0.05
"""A document with a larger share of the short documents' bytes is long, so short ones are twenty or more."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be held out."""

    language: str
    size_bytes: int
    sha256: str
    sketch: Sketch | None
    """None: it is a relative of equal documents only."""
    group: str | None = None
    """Documents of the same group are relatives."""


@dataclass(frozen=True)
class Choice:
    """Places of the short documents, and of those among them that are held out."""

    short: frozenset[int]
    held_out: frozenset[int]
    has_relatives: bool
    """Too many documents are relatives of each other: some held-out ones have relatives in the training text."""


def choose_held_out(candidates: Sequence[Candidate]) -> Choice:
    """Choose by hash until every language has a tenth of its short documents' bytes."""
    short = frozenset(
        place
        for language in {one.language for one in candidates}
        for place in _find_short(
            [i for i, one in enumerate(candidates) if one.language == language], candidates
        )
    )
    totals = Counter[str]()
    for place in short:
        totals[candidates[place].language] += candidates[place].size_bytes
    missing = {language: ceil(VALIDATION_SHARE * total) for language, total in totals.items()}
    largest = {language: LONG_SHARE * total for language, total in totals.items()}
    clusters = _cluster(sorted(short), candidates)
    held_out = _take(clusters, candidates, missing=missing, largest=largest)
    has_relatives = any(count > 0 for count in missing.values())
    if has_relatives:
        rest = [[place] for cluster in clusters for place in cluster if place not in held_out]
        held_out |= _take(rest, candidates, missing=missing, largest=largest)
    return Choice(short, frozenset(held_out), has_relatives)


def _find_short(places: list[int], candidates: Sequence[Candidate]) -> list[int]:
    """The documents without those that have more than ``LONG_SHARE`` of the bytes of all shorter ones and their own."""
    by_size = sorted(places, key=lambda place: candidates[place].size_bytes)
    total = sum(candidates[place].size_bytes for place in by_size)
    while by_size and candidates[by_size[-1]].size_bytes > LONG_SHARE * total:
        total -= candidates[by_size.pop()].size_bytes
    return by_size


def _cluster(places: list[int], candidates: Sequence[Candidate]) -> list[list[int]]:
    """Relatives together, in the order of the smallest hash of each cluster.

    Documents with a group are related by it alone: stories of one plot are alike, and all would be held out together.
    """
    chosen = [candidates[place] for place in places]
    joined = Clusters(len(chosen))
    joined.join_equal([one.group for one in chosen])
    joined.join_equal([one.sha256 if one.sketch is None else None for one in chosen])
    sketches = {index: one.sketch for index, one in enumerate(chosen) if one.group is None}
    joined.join_similar({index: sketch for index, sketch in sketches.items() if sketch is not None})
    clusters: dict[int, list[int]] = {}
    for index, place in enumerate(places):
        clusters.setdefault(joined.find(index), []).append(place)
    return list(clusters.values())


def _take(
    clusters: Sequence[Sequence[int]],
    candidates: Sequence[Candidate],
    *,
    missing: dict[str, int],
    largest: dict[str, float],
) -> set[int]:
    """Take clusters until no language misses bytes; ``missing`` is counted down.

    A cluster over a language's ``largest`` is passed over: most of the text would be held out.
    """
    taken: set[int] = set()
    for cluster in sorted(clusters, key=lambda places: min(candidates[place].sha256 for place in places)):
        sizes = Counter[str]()
        for place in cluster:
            sizes[candidates[place].language] += candidates[place].size_bytes
        is_wanted = any(missing[language] > 0 for language in sizes)
        if is_wanted and all(size <= largest[language] for language, size in sizes.items()):
            taken.update(cluster)
            for language, size in sizes.items():
                missing[language] -= size
    return taken
