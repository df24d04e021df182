"""Finds documents that are nearly the same, in time proportional to their number.

A document is compared by its sketch: of the hashes of its runs of five characters, the smallest in each of 63 ranges.
The share of equal hashes in two sketches estimates the share of runs that the documents have in common (MinHash, Broder
1997; one permutation, Li et al. 2012, https://arxiv.org/abs/1208.1259). Characters, not words: not every script
separates words.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Sketch = npt.NDArray[np.uint64]

LEAST_SIMILARITY = 0.5
"""Share of common runs from which two documents are near-duplicates."""
RUN_CHARACTERS = 5
SKETCHED_CHARACTERS = 100_000
"""Of a longer document only the beginning is compared."""
NUM_BANDS, BAND_HASHES = 21, 3
NUM_HASHES = NUM_BANDS * BAND_HASHES
"""Documents that agree in all hashes of a band are compared: 99 % of those with 0.6 of their runs in common."""
COMPARED_MEMBERS = 4
"""Documents of a band that a further one is compared with."""
_BASE, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_RANGE_STARTS = np.linspace(0, 2.0**64, NUM_HASHES, endpoint=False).astype(np.uint64)


def make_sketch(text: str) -> Sketch:
    """The sketch of a document, without regard to case and to how its words are spaced."""
    sketch: Sketch = make_sketches([text])[0]
    return sketch


def make_sketches(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The sketches of some texts, one a row."""
    sketches = np.empty((len(texts), NUM_HASHES), np.uint64)
    plain: list[str] = []
    num_characters = 0
    for number, text in enumerate(texts, start=1):
        plain.append(" ".join(text[:SKETCHED_CHARACTERS].casefold().split()).ljust(RUN_CHARACTERS))
        num_characters += len(plain[-1])
        if num_characters >= SKETCHED_CHARACTERS or number == len(texts):
            sketches[number - len(plain) : number] = list(_make_sketches(plain))
            plain, num_characters = [], 0
    return sketches


def _make_sketches(plain: Sequence[str]) -> Iterator[Sketch]:
    hashes = _hash_runs("".join(plain))
    end = 0
    for text in plain:
        start, end = end, end + len(text)
        own = np.sort(hashes[start : end - RUN_CHARACTERS + 1])
        # A range without a hash borrows that of the next one (Shrivastava and Li 2014).
        yield own[np.searchsorted(own, _RANGE_STARTS) % len(own)]


def _hash_runs(plain: str) -> npt.NDArray[np.uint64]:
    codes = np.frombuffer(plain.encode("utf-32-le"), np.uint32).astype(np.uint64)
    num_runs = len(codes) - RUN_CHARACTERS + 1
    hashes = np.zeros(num_runs, np.uint64)
    for place in range(RUN_CHARACTERS):  # unsigned numbers wrap around, as a hash wants it
        hashes *= _BASE
        hashes += codes[place : place + num_runs]
    hashes ^= hashes >> np.uint64(31)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    return hashes


def measure_similarity(one: Sketch, other: Sketch) -> float:
    """The estimated share of runs that two documents have in common."""
    return int(np.count_nonzero(one == other)) / len(one)


@dataclass
class SketchIndex:
    """Finds the first of earlier texts that share ``least_similarity`` of their runs with a text.

    Only the first ``limit`` texts are remembered, so that the memory is bounded: about 1.5 kB for each.
    """

    least_similarity: float
    num_bands: int
    limit: int
    _sketches: list[Sketch] = field(default_factory=list)
    _bands: dict[int, int] = field(default_factory=dict)
    """From a hash of a band and its place to the first text that has it."""

    def __len__(self) -> int:
        return len(self._sketches)

    def find(self, sketch: Sketch, bands: Sequence[int] | None = None) -> int | None:
        """The number of an earlier text that is nearly the same; else None, and this one is remembered.

        ``bands`` is what ``hash_bands`` gives for it.
        """
        keys = self.hash_bands(sketch[None])[0] if bands is None else bands
        for place in dict.fromkeys(map(self._bands.get, keys)):
            if (
                place is not None
                and measure_similarity(self._sketches[place], sketch) >= self.least_similarity
            ):
                return place
        number = len(self)
        if number < self.limit:
            for key in keys:
                self._bands.setdefault(key, number)
            self._sketches.append(sketch.copy())  # without the array that it may be a row of
        return None

    def hash_bands(self, sketches: npt.NDArray[np.uint64]) -> list[list[int]]:
        """A hash of each band of some sketches, [N, 63]. Where two agree by chance, the sketches are still compared."""
        hashes = np.tile(np.arange(self.num_bands, dtype=np.uint64), (len(sketches), 1))
        for place in range(BAND_HASHES):
            hashes = (hashes ^ sketches[:, place::BAND_HASHES][:, : self.num_bands]) * _MIX
            hashes ^= hashes >> np.uint64(31)
        found: list[list[int]] = hashes.tolist()
        return found


class Clusters:
    """Puts documents that belong together into one cluster (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = array("q", range(count))

    def find(self, place: int) -> int:
        """The first document of the cluster that a document is in."""
        while self._parents[place] != place:
            self._parents[place] = place = self._parents[self._parents[place]]
        return place

    def join(self, one: int, other: int) -> None:
        one, other = sorted((self.find(one), self.find(other)))
        self._parents[other] = one

    def list_firsts(self) -> npt.NDArray[np.int64]:
        """For each document the first of its cluster."""
        firsts = np.array(self._parents, np.int64)
        while (firsts[firsts] != firsts).any():
            firsts = firsts[firsts]
        return firsts

    def join_similar(self, sketches: Mapping[int, Sketch]) -> None:
        """Join near-duplicates; the keys are places of documents."""
        for band in range(0, NUM_HASHES, BAND_HASHES):
            members: dict[bytes, list[int]] = {}
            for place, sketch in sketches.items():
                same = members.setdefault(sketch[band : band + BAND_HASHES].tobytes(), [])
                self._join_if_similar(place, same, sketches)

    def _join_if_similar(self, place: int, same: list[int], sketches: Mapping[int, Sketch]) -> None:
        for other in same:
            if self.find(other) == self.find(place):
                return
            if measure_similarity(sketches[other], sketches[place]) >= LEAST_SIMILARITY:
                self.join(other, place)
                return
        if len(same) < COMPARED_MEMBERS:
            same.append(place)
