"""Finds documents and paragraphs that come again in a person's own texts, and removes them if that is asked for.

Both are compared by their sketches (``near_duplicates``), and paragraphs also by their words. Short ones may repeat: a
greeting or a refrain, for example. The first of each kind stays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from semilla.corpus.manifest import LeftOutFile, MissingDocument
from semilla.corpus.near_duplicates import SketchIndex
from semilla.corpus.prepared import PreparedDocument
from semilla.events import Note, Progress, Warned
from semilla.records import names

LEAST_CHARACTERS = 120
"""Of documents and paragraphs that are compared."""
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


@dataclass
class Duplicates:
    """Documents pass through ``filter``, in order; ``tell`` says at the end what came again."""

    removes: bool
    _titles: list[str] = field(default_factory=list)
    """Of the documents in ``_index``."""
    _index: SketchIndex = field(default_factory=make_index)
    _texts: set[int] = field(default_factory=set)
    """Of the documents that are a whole text. The writer leaves out a text that comes again, and says so."""
    _paragraphs: set[int] = field(default_factory=set)
    _paragraph_index: SketchIndex = field(default_factory=make_index)
    _documents: list[str] = field(default_factory=list)
    """Of those that came again: their names, and those of the first ones."""
    _num_paragraphs: Counter[str] = field(default_factory=Counter)
    """By kind, as are the characters."""
    _paragraph_characters: Counter[str] = field(default_factory=Counter)
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
        if not document.parts:
            key = hash(document.text)
            if key in self._texts:
                return document
            self._texts.add(key)
        parts = document.parts or (document.text,)
        groups = document.groups or ("",) * len(parts)
        kept: list[tuple[str, str]] = []
        counts = Counter[str]()
        for number, (part, group) in enumerate(zip(parts, groups, strict=True), start=1):
            self._all_characters += len(part)
            name = document.title if len(parts) == 1 else f"{document.title}, number {number:,}"
            same = self._find_same(part, name=name)
            if same is not None:
                self._documents.append(f"{name} and {same}")
                if self.removes:
                    counts["near_duplicates"] += len(part)
                    continue
                kept.append((part, group))
                continue
            kept.append((self._filter_paragraphs(part, counts), group))
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
        )

    def filter_text(self, text: str, *, name: str) -> str:
        """The rest of one document; nothing of one that is nearly the same as an earlier one."""
        return (
            "" if self._find_same(text, name=name) is not None else self._filter_paragraphs(text, Counter())
        )

    def _find_same(self, text: str, *, name: str) -> str | None:
        """The name of an earlier document that is nearly the same; else this one is remembered."""
        if len(text) < LEAST_CHARACTERS:
            return None
        place = self._index.find(text)
        if place is not None:
            return self._titles[place]
        if len(self._titles) < len(self._index):
            self._titles.append(name)
        return None

    def _filter_paragraphs(self, text: str, removed: Counter[str]) -> str:
        """Count the paragraphs that came before, and leave them out if that is asked for; ``removed`` counts those."""
        lines = text.split("\n")
        kept: list[str] = []
        for line in lines:
            kind = self._find_kind(line)
            if kind is None:
                kept.append(line)
                continue
            self._num_paragraphs[kind] += 1
            self._paragraph_characters[kind] += len(line) + 1
            self._example = self._example or line[:_EXAMPLE_CHARACTERS]
            if self.removes:
                removed[kind] += len(line) + 1
            else:
                kept.append(line)
        return "\n".join(kept) if len(kept) < len(lines) else text

    def _find_kind(self, paragraph: str) -> str | None:
        """Whether a paragraph came before, word for word or with small changes; else it is remembered."""
        if len(paragraph) < LEAST_CHARACTERS:
            return None
        key = hash(" ".join(re.findall(r"\w+", paragraph.casefold())))
        if key in self._paragraphs:
            return WORD_FOR_WORD
        if len(self._paragraphs) < MAX_PARAGRAPHS:
            self._paragraphs.add(key)
        if self._all_characters > SIMILAR_CHARACTERS:
            return None
        return SIMILAR if self._paragraph_index.find(paragraph) is not None else None
