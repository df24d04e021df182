"""Finds documents and paragraphs that come again in a person's own texts, and removes them if that is asked for.

Documents are compared by their sketches (``near_duplicates``), paragraphs by their words. Short ones may repeat: a
greeting or a refrain, for example. The first of each kind stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from semilla.corpus.manifest import LeftOutFile, MissingDocument
from semilla.corpus.near_duplicates import BAND_HASHES, Sketch, make_sketch, measure_similarity
from semilla.corpus.prepared import PreparedDocument
from semilla.events import Note, Progress, Warned
from semilla.records import names

LEAST_CHARACTERS = 120
"""Of documents and paragraphs that are compared."""
LEAST_SIMILARITY = 0.8
"""Share of common runs of five characters."""
NUM_BANDS = 10
"""99.9 % of the documents that are so similar agree in one of these bands."""
MAX_DOCUMENTS = 50_000
"""Further documents are compared with these, so that the memory is bounded: about 1.5 kB for each."""
_EXAMPLE_CHARACTERS = 60
_MIN_TOLD_SHARE = 0.001
"""A smaller share of repeated paragraphs is not worth a line."""

Prepared = PreparedDocument | MissingDocument | LeftOutFile


@dataclass
class Duplicates:
    """Documents pass through ``filter``, in order; ``tell`` says at the end what came again."""

    removes: bool
    _titles: list[str] = field(default_factory=list)
    _sketches: list[Sketch] = field(default_factory=list)
    _bands: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(NUM_BANDS)])
    _texts: set[int] = field(default_factory=set)
    """Of the documents that are a whole text. The writer leaves out a text that comes again, and says so."""
    _paragraphs: set[int] = field(default_factory=set)
    _documents: list[str] = field(default_factory=list)
    """Of those that came again: their names, and those of the first ones."""
    _num_paragraphs: int = 0
    _paragraph_characters: int = 0
    _all_characters: int = 0
    _example: str = ""

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
        if self._paragraph_characters > _MIN_TOLD_SHARE * self._all_characters:
            share = self._paragraph_characters / self._all_characters
            counted = f", counted in {names.CORPUS_MANIFEST}" if self.removes else ""
            progress(
                Note(
                    f"{self._num_paragraphs:,} paragraphs, {share:.1%} of the text, come again word for word, such as "
                    f"{self._example!r}: {advice}{counted}."
                )
            )

    def _filter_text(self, document: PreparedDocument) -> Prepared:
        if not document.parts:
            key = hash(document.text)
            if key in self._texts:
                return document
            self._texts.add(key)
        parts = document.parts or (document.text,)
        groups = document.groups or ("",) * len(parts)
        kept: list[tuple[str, str]] = []
        num_same = num_repeated = 0
        for number, (part, group) in enumerate(zip(parts, groups, strict=True), start=1):
            self._all_characters += len(part)
            name = document.title if len(parts) == 1 else f"{document.title}, number {number:,}"
            same = self._find_same(part, name=name)
            if same is not None:
                self._documents.append(f"{name} and {same}")
                if self.removes:
                    num_same += len(part)
                    continue
                kept.append((part, group))
                continue
            left = self._filter_paragraphs(part)
            num_repeated += len(part) - len(left)
            kept.append((left, group))
        if not (num_same or num_repeated):
            return document
        if not any(part.strip() for part, _ in kept):
            return LeftOutFile(
                path=document.provenance.source,
                reason="duplicate",
                detail=f"nearly the same as {self._documents[-1].rpartition(' and ')[2]}"
                if num_same
                else "every paragraph is in an earlier text",
            )
        kept = [(part, group) for part, group in kept if part.strip()]
        counts = {"near_duplicates": num_same, "repeated_paragraphs": num_repeated}
        *firsts, (last, group) = kept
        kept = [*firsts, (last.rstrip("\n") + "\n", group)]
        return replace(
            document,
            text="".join(part for part, _ in kept),
            parts=tuple(part for part, _ in kept) if document.parts and len(kept) > 1 else (),
            groups=tuple(group for _, group in kept) if document.groups else (),
            removed=document.removed | {kind: count for kind, count in counts.items() if count},
        )

    def filter_text(self, text: str, *, name: str) -> str:
        """The rest of one document; nothing of one that is nearly the same as an earlier one."""
        return "" if self._find_same(text, name=name) is not None else self._filter_paragraphs(text)

    def _find_same(self, text: str, *, name: str) -> str | None:
        """The name of an earlier document that is nearly the same; else this one is remembered."""
        if len(text) < LEAST_CHARACTERS:
            return None
        sketch = make_sketch(text)
        keys = [
            hash(sketch[band * BAND_HASHES : (band + 1) * BAND_HASHES].tobytes()) for band in range(NUM_BANDS)
        ]
        for key, members in zip(keys, self._bands, strict=True):
            place = members.get(key)
            if place is not None and measure_similarity(self._sketches[place], sketch) >= LEAST_SIMILARITY:
                return self._titles[place]
        if len(self._titles) < MAX_DOCUMENTS:
            for key, members in zip(keys, self._bands, strict=True):
                members.setdefault(key, len(self._titles))
            self._titles.append(name)
            self._sketches.append(sketch)
        return None

    def _filter_paragraphs(self, text: str) -> str:
        """Count the paragraphs that came before, and leave them out if that is asked for."""
        lines = text.split("\n")
        kept: list[str] = []
        for line in lines:
            if len(line) < LEAST_CHARACTERS:
                kept.append(line)
                continue
            key = hash(" ".join(re.findall(r"\w+", line.casefold())))
            if key not in self._paragraphs:
                self._paragraphs.add(key)
                kept.append(line)
                continue
            self._num_paragraphs += 1
            self._paragraph_characters += len(line) + 1
            self._example = self._example or line[:_EXAMPLE_CHARACTERS]
            if not self.removes:
                kept.append(line)
        return "\n".join(kept) if len(kept) < len(lines) else text
