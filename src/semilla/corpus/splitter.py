"""Decides for every text of a corpus what is held out, when all have been read: whole documents, or its last tenth."""

from __future__ import annotations

from dataclasses import dataclass, field

from semilla.corpus.held_out import Candidate, choose_held_out
from semilla.corpus.manifest import DocumentEntry
from semilla.corpus.near_duplicates import Sketch
from semilla.corpus.split import OverlapGauge
from semilla.corpus.traits import Span, TextTraits

MAX_LINES = 1_000_000
"""Long lines that are remembered, to tell how much held-out text is in the training text. More are sampled."""
MAX_SKETCHES = 50_000
"""Documents that are compared with each other. Further ones are relatives only if they are equal."""


@dataclass(frozen=True)
class _Text:
    entry: DocumentEntry
    parts: tuple[Span, ...]
    """Its documents; a text that is one document is its only one."""
    halves: tuple[Span, Span]
    """Before and after the cut."""
    sketches: tuple[Sketch | None, ...]
    groups: tuple[str | None, ...]
    hashes: tuple[str, ...]

    def list_candidates(self) -> list[Candidate]:
        parts = zip(self.parts, self.hashes, self.sketches, self.groups, strict=True)
        language = self.entry.language
        return [
            Candidate(language, part.size_bytes, sha256, sketch, group)
            for part, sha256, sketch, group in parts
        ]


@dataclass
class Splitter:
    """Collects the texts of a corpus; ``split`` enters the decision in their entries."""

    num_held_out_characters: int = 0
    overlap: OverlapGauge = field(default_factory=OverlapGauge)
    _texts: list[_Text] = field(default_factory=list)
    _num_sketches: int = 0
    _num_lines: int = 0
    _one_in: int = 1
    """Of how many lines one is remembered."""

    def add(self, entry: DocumentEntry, traits: TextTraits, *, groups: tuple[str, ...]) -> None:
        """Add a text; ``groups`` has the group of each document, or is empty."""
        documents = traits.documents
        num_sketched = max(0, min(len(documents), MAX_SKETCHES - self._num_sketches))
        self._num_sketches += num_sketched
        sketches = tuple(document.sketch for document in documents[:num_sketched])
        self._texts.append(
            _Text(
                entry,
                tuple(document.span for document in documents),
                traits.halves,
                sketches + (None,) * (len(documents) - num_sketched),
                groups or (None,) * len(documents),
                tuple(document.sha256 for document in documents),
            )
        )
        self._thin_lines(self._texts[-1])
        while self._num_lines > MAX_LINES:
            self._one_in *= 2
            self._num_lines = 0
            for one in self._texts:
                self._thin_lines(one)

    def _thin_lines(self, text: _Text) -> None:
        """Keep the lines of the sample, which has the same lines of every text."""
        for part in (*text.parts, *text.halves):
            part.lines = part.lines[part.lines[:, 0] % self._one_in == 0]
            self._num_lines += len(part.lines)

    def split(self) -> bool:
        """Decide; return whether held-out documents have near-duplicates in the training text."""
        choice = choose_held_out([one for text in self._texts for one in text.list_candidates()])
        first = 0
        for text in self._texts:
            places = range(first, first := first + len(text.parts))
            if choice.short.isdisjoint(places):
                self._cut(text)
            else:
                self._keep_whole(text, [place in choice.held_out for place in places])
        return choice.has_relatives

    def _cut(self, text: _Text) -> None:
        """Hold out the last tenth of a text."""
        text.entry.cut_byte = text.entry.start_byte + text.halves[0].size_bytes
        for half, is_held_out in zip(text.halves, (False, True), strict=True):
            self._count(half, held_out=is_held_out)

    def _keep_whole(self, text: _Text, held_out: list[bool]) -> None:
        """Hold out whole documents of a text."""
        if len(text.parts) == 1:
            text.entry.cut_byte = text.entry.start_byte if held_out[0] else text.entry.end_byte
        else:
            text.entry.document_bytes = [part.size_bytes for part in text.parts]
            text.entry.held_out = [place for place, is_held_out in enumerate(held_out) if is_held_out]
        for part, is_held_out in zip(text.parts, held_out, strict=True):
            self._count(part, held_out=is_held_out)

    def _count(self, part: Span, *, held_out: bool) -> None:
        self.overlap.add(part.lines, held_out=held_out)
        self.num_held_out_characters += held_out * part.num_characters
