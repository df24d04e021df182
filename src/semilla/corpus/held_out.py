"""Chooses the documents that are held out for validation, whole, where a language has many short ones.

They are a tenth of the text or more, chosen by hash. Near-duplicates, and documents of one group (stories about the
same combination), are chosen together: no held-out document has a relative in the training text. Documents that are
long for the text they are in are not chosen; ``semilla.corpus.split`` cuts those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from semilla.corpus.near_duplicates import Clusters, Sketch
from semilla.corpus.split import VALIDATION_SHARE

LONG_SHARE = 0.05
"""A document with a larger share of the short documents' bytes is long, so short ones are twenty or more."""

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """Documents that may be held out: arrays with a number for each, because there may be millions."""

    languages: npt.NDArray[np.int64]
    """A number for each language."""
    sizes: npt.NDArray[np.int64]
    """In bytes."""
    keys: npt.NDArray[np.uint64]
    """The first 64 bits of their SHA-256."""
    sketches: Mapping[int, Sketch]
    """By place. A document without one is a relative of equal documents only."""
    groups: Mapping[int, str]
    """By place. Documents of the same group are relatives."""


@dataclass(frozen=True)
class Choice:
    """The short documents, and those among them that are held out."""

    short: Mask
    held_out: Mask
    has_relatives: bool
    """Too many documents are relatives of each other: some held-out ones have relatives in the training text."""


def choose_held_out(candidates: Candidates) -> Choice:
    """Choose by hash until every language has a tenth of its short documents' bytes."""
    short = np.zeros(len(candidates.sizes), np.bool_)
    totals: dict[int, int] = {}
    for language in np.unique(candidates.languages).tolist():
        places = _find_short(np.flatnonzero(candidates.languages == language), candidates.sizes)
        short[places] = True
        totals[language] = int(candidates.sizes[places].sum())
    missing = {language: ceil(VALIDATION_SHARE * total) for language, total in totals.items()}
    largest = {language: LONG_SHARE * total for language, total in totals.items()}
    places = np.flatnonzero(short)
    held_out = np.zeros_like(short)
    _take(places, _cluster(places, candidates), candidates, held_out, missing=missing, largest=largest)
    has_relatives = any(count > 0 for count in missing.values())
    if has_relatives:
        rest = places[~held_out[places]]
        _take(rest, np.arange(len(rest)), candidates, held_out, missing=missing, largest=largest)
    return Choice(short, held_out, has_relatives)


def _find_short(places: Places, sizes: npt.NDArray[np.int64]) -> Places:
    """The documents without those that have more than ``LONG_SHARE`` of the bytes of all shorter ones and their own."""
    by_size = places[np.argsort(sizes[places], kind="stable")]
    total, end = int(sizes[by_size].sum()), len(by_size)
    while end and sizes[by_size[end - 1]] > LONG_SHARE * total:
        end -= 1
        total -= int(sizes[by_size[end]])
    return by_size[:end]


def _cluster(places: Places, candidates: Candidates) -> Places:
    """For each of the places the number of the first of its relatives, which may be its own.

    Documents with a group are related by it alone: stories of one plot are alike, and all would be held out together.
    """
    joined = Clusters(len(places))
    grouped = np.flatnonzero(np.isin(places, np.fromiter(candidates.groups, np.int64))).tolist()
    firsts: dict[str, int] = {}
    for number in grouped:
        joined.join(firsts.setdefault(candidates.groups[int(places[number])], number), number)
    has_sketch = np.isin(places, np.fromiter(candidates.sketches, np.int64))
    plain = np.flatnonzero(~has_sketch)
    _, first, inverse = np.unique(candidates.keys[places[plain]], return_index=True, return_inverse=True)
    equal = plain[first[inverse]]
    for one, other in zip(equal[equal != plain].tolist(), plain[equal != plain].tolist(), strict=True):
        joined.join(one, other)
    has_sketch[grouped] = False
    sketched = np.flatnonzero(has_sketch).tolist()
    joined.join_similar({number: candidates.sketches[int(places[number])] for number in sketched})
    return joined.list_firsts()


def _take(
    places: Places,
    firsts: Places,
    candidates: Candidates,
    taken: Mask,
    *,
    missing: dict[int, int],
    largest: Mapping[int, float],
) -> None:
    """Take clusters, the smallest hash first, until no language misses bytes; ``missing`` is counted down.

    A cluster over a language's ``largest`` is passed over: most of the text would be held out.
    """
    if not len(places):
        return
    order = np.argsort(firsts, kind="stable")
    starts = np.flatnonzero(np.diff(firsts[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    members = places[order]
    least = np.minimum.reduceat(candidates.keys[members], starts)
    for cluster in np.argsort(least, kind="stable"):
        if not any(count > 0 for count in missing.values()):
            return
        chosen = members[starts[cluster] : ends[cluster]]
        sizes = Counter[int]()
        for language, size in zip(candidates.languages[chosen], candidates.sizes[chosen], strict=True):
            sizes[int(language)] += int(size)
        is_wanted = any(missing[language] > 0 for language in sizes)
        if is_wanted and all(size <= largest[language] for language, size in sizes.items()):
            taken[chosen] = True
            for language, size in sizes.items():
                missing[language] -= size
