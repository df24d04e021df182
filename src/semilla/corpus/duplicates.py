"""Finds documents and paragraphs that come again in a person's own texts, and removes them if that is asked for.

Both are compared by their sketches (``near_duplicates``), and paragraphs also by their words. Short ones may repeat: a
greeting or a refrain, for example. The first of each kind stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from semilla.corpus.manifest import LeftOutFile, MissingDocument
from semilla.corpus.near_duplicates import Sketch, SketchIndex
from semilla.corpus.prepared import PreparedDocument
from semilla.corpus.traits import LEAST_CHARACTERS, DocumentTraits, Paragraphs, measure_text
from semilla.events import Note, Progress, Warned
from semilla.records import names

LEAST_SIMILARITY = 0.8
"""Share of common runs of five characters."""
NUM_BANDS = 10
"""99.9 % of the documents that are so similar agree in one of these bands."""
MAX_REMEMBERED = 50_000
"""Documents, and as many paragraphs, that further ones are compared with."""
MAX_PARAGRAPHS = 1_000_000
"""Paragraphs whose words are remembered."""
SIMILAR_CHARACTERS = 32_000_000
"""Only in so much text, paragraphs are compared by their sketches, which takes half of the time of cleaning."""
_EXAMPLE_CHARACTERS = 60
_MIN_TOLD_SHARE = 0.001
"""A smaller share of repeated paragraphs is not worth a line."""

WORD_FOR_WORD, SIMILAR = "repeated_paragraphs", "similar_paragraphs"
"""Kinds of what is removed, in the manifest."""

Prepared = PreparedDocument | MissingDocument | LeftOutFile


def make_index() -> SketchIndex:
    return SketchIndex(LEAST_SIMILARITY, NUM_BANDS, MAX_REMEMBERED)


class KeySet:
    """The first ``limit`` of many 64-bit keys, in 8 bytes each but for those that were added last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sorted = np.zeros(0, np.int64)
        self._recent: set[int] = set()

    @property
    def size_bytes(self) -> int:
        """Of those that are sorted."""
        return self._sorted.nbytes

    def find(self, keys: npt.NDArray[np.int64], *, num_recent: int = 50_000) -> list[bool]:
        """Whether each key came before; the others are added. More than ``num_recent`` are sorted."""
        places = np.searchsorted(self._sorted, keys)
        places[places == len(self._sorted)] = 0
        is_known = (self._sorted[places] == keys).tolist() if len(self._sorted) else [False] * len(keys)
        for place, key in enumerate(keys.tolist()):
            if is_known[place] or key in self._recent:
                is_known[place] = True
            elif len(self._sorted) + len(self._recent) < self._limit:
                self._recent.add(key)
        if len(self._recent) > num_recent:
            recent = np.fromiter(self._recent, np.int64, len(self._recent))
            self._sorted = np.sort(np.concatenate([self._sorted, recent]))
            self._recent.clear()
        return is_known


@dataclass
class Duplicates:
    """Documents pass through ``filter``, in order; ``tell`` says at the end what came again."""

    removes: bool
    _titles: list[str] = field(default_factory=list)
    """Of the documents in ``_index``."""
    _index: SketchIndex = field(default_factory=make_index)
    _texts: set[str] = field(default_factory=set)
    """Hashes of the documents that are a whole text. The writer leaves out a text that comes again, and says so."""
    _paragraphs: KeySet = field(default_factory=lambda: KeySet(MAX_PARAGRAPHS))
    _paragraph_index: SketchIndex = field(default_factory=make_index)
    _documents: list[str] = field(default_factory=list)
    """Of those that came again: their names, and those of the first ones."""
    _num_paragraphs: Counter[str] = field(default_factory=Counter)
    """By kind, as are the characters."""
    _paragraph_characters: Counter[str] = field(default_factory=Counter)
    _all_characters: int = 0
    _example: str = ""

    @property
    def compares_similar(self) -> bool:
        """Whether further paragraphs may still be compared by their sketches."""
        return self._all_characters <= SIMILAR_CHARACTERS

    def filter(self, documents: Iterable[Prepared]) -> Iterator[Prepared]:
        """Yield the documents, without what came again if that is asked for."""
        for document in documents:
            yield self._filter_text(document) if isinstance(document, PreparedDocument) else document

    def tell(self, progress: Progress) -> None:
        """Say what came again, and what became of it."""
        advice = "removed" if self.removes else "kept; --dedupe removes them"
        if self._documents:
            found = "; ".join(self._documents[:3])
            text = (
                f"{len(self._documents):,} documents are nearly the same as earlier ones ({found}): {advice}"
            )
            progress(Note(f"{text}.") if self.removes else Warned(text, topic="invalid_corpus"))
        total = self._paragraph_characters.total()
        if total > _MIN_TOLD_SHARE * self._all_characters:
            counted = f", counted in {names.CORPUS_MANIFEST}" if self.removes else ""
            similar = self._num_paragraphs[SIMILAR]
            changed = f", {similar:,} of them with small changes" if similar else ""
            progress(
                Note(
                    f"{self._num_paragraphs.total():,} paragraphs, {total / self._all_characters:.1%} of the text, "
                    f"come again{changed}, such as {self._example!r}: {advice}{counted}."
                )
            )

    def _filter_text(self, document: PreparedDocument) -> Prepared:
        measured = document.measure(finds_paragraphs=True, compares_similar=self.compares_similar)
        if not document.parts:
            if measured.sha256 in self._texts:
                return document
            self._texts.add(measured.sha256)
        parts = document.parts or (document.text,)
        groups = document.groups or ("",) * len(parts)
        kept: list[tuple[str, str]] = []
        counts = Counter[str]()
        found = enumerate(zip(parts, groups, measured.documents, strict=True), start=1)
        for number, (part, group, traits) in found:
            self._all_characters += len(part)
            name = document.title if len(parts) == 1 else f"{document.title}, number {number:,}"
            same = self._find_same(traits, name=name)
            if same is not None:
                self._documents.append(f"{name} and {same}")
                if self.removes:
                    counts["near_duplicates"] += len(part)
                    continue
                kept.append((part, group))
                continue
            kept.append((self._filter_paragraphs(part, traits, counts), group))
        if not self.compares_similar:
            self._paragraph_index = make_index()  # it is not asked again, and takes 90 MB
        if not counts:
            return document
        if not any(part.strip() for part, _ in kept):
            return LeftOutFile(
                path=document.provenance.source,
                reason="duplicate",
                detail=f"nearly the same as {self._documents[-1].rpartition(' and ')[2]}"
                if counts["near_duplicates"]
                else "every paragraph is in an earlier text",
            )
        kept = [(part, group) for part, group in kept if part.strip()]
        *firsts, (last, group) = kept
        kept = [*firsts, (last.rstrip("\n") + "\n", group)]
        return replace(
            document,
            text="".join(part for part, _ in kept),
            parts=tuple(part for part, _ in kept) if document.parts and len(kept) > 1 else (),
            groups=tuple(group for _, group in kept) if document.groups else (),
            removed=document.removed | dict(counts),
            traits=None,
        )

    def filter_text(self, text: str, *, name: str) -> str:
        """The rest of one document; nothing of one that is nearly the same as an earlier one."""
        (traits,) = measure_text(text, ()).documents
        if self._find_same(traits, name=name) is not None:
            return ""
        return self._filter_paragraphs(text, traits, Counter())

    def _find_same(self, traits: DocumentTraits, *, name: str) -> str | None:
        """The name of an earlier document that is nearly the same; else this one is remembered."""
        if traits.span.num_characters < LEAST_CHARACTERS:
            return None
        place = self._index.find(traits.sketch)
        if place is not None:
            return self._titles[place]
        if len(self._titles) < len(self._index):
            self._titles.append(name)
        return None

    def _filter_paragraphs(self, text: str, traits: DocumentTraits, removed: Counter[str]) -> str:
        """Count the paragraphs that came before, and leave them out if that is asked for; ``removed`` counts those."""
        assert traits.paragraphs
        kinds = self._find_kinds(traits.paragraphs)
        if not kinds:
            return text
        lines = text.split("\n")
        for place, kind in kinds.items():
            num_characters = len(lines[place]) + 1
            self._num_paragraphs[kind] += 1
            self._paragraph_characters[kind] += num_characters
            self._example = self._example or lines[place][:_EXAMPLE_CHARACTERS]
            if self.removes:
                removed[kind] += num_characters
        if not self.removes:
            return text
        return "\n".join(line for place, line in enumerate(lines) if place not in kinds)

    def _find_kinds(self, paragraphs: Paragraphs) -> dict[int, str]:
        """The lines that came before, word for word or with small changes; the others are remembered."""
        is_known = self._paragraphs.find(paragraphs.keys)
        sketches = paragraphs.sketches if self.compares_similar else None
        bands = [] if sketches is None else self._paragraph_index.hash_bands(sketches)
        kinds: dict[int, str] = {}
        for number, place in enumerate(paragraphs.places.tolist()):
            if is_known[number]:
                kinds[place] = WORD_FOR_WORD
            elif sketches is not None and self._is_similar(sketches[number], bands[number]):
                kinds[place] = SIMILAR
        return kinds

    def _is_similar(self, sketch: Sketch, bands: list[int]) -> bool:
        return self._paragraph_index.find(sketch, bands) is not None
