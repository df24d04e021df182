"""Decides for every text of a corpus what is held out, when all have been read: whole documents, or its last tenth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from semilla.corpus.held_out import Candidates, Mask, choose_held_out
from semilla.corpus.manifest import DocumentEntry
from semilla.corpus.near_duplicates import Sketch
from semilla.corpus.split import Lines, OverlapGauge
from semilla.corpus.traits import Span, TextTraits

MAX_LINES = 1_000_000
"""Long lines that are remembered, to tell how much held-out text is in the training text. More are sampled."""
MAX_SKETCHES = 50_000
"""Documents that are compared with each other. Further ones are relatives only if they are equal."""


@dataclass
class _Text:
    """A text and its documents, [N]; a text that is one document is its only one."""

    entry: DocumentEntry
    sizes: npt.NDArray[np.int64]
    num_characters: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    lines: Lines
    owners: npt.NDArray[np.int32]
    """For each of the lines, the number of its document."""
    halves: tuple[Span, Span]
    """Before and after the cut."""

    @classmethod
    def describe(cls, entry: DocumentEntry, traits: TextTraits) -> _Text:
        spans = [one.span for one in traits.documents]
        num_lines = [len(span.lines) for span in spans]
        return cls(
            entry,
            np.array([span.size_bytes for span in spans], np.int64),
            np.array([span.num_characters for span in spans], np.int64),
            np.array([int(one.sha256[:16], 16) for one in traits.documents], np.uint64),
            np.concatenate([span.lines for span in spans]),
            np.repeat(np.arange(len(spans), dtype=np.int32), num_lines),
            traits.halves,
        )

    def thin_lines(self, one_in: int) -> int:
        """Keep the lines of the sample, which has the same lines of every text; return their number."""
        is_kept = self.lines[:, 0] % one_in == 0
        self.lines, self.owners = self.lines[is_kept], self.owners[is_kept]
        for half in self.halves:
            half.lines = half.lines[half.lines[:, 0] % one_in == 0]
        return len(self.lines) + sum(len(half.lines) for half in self.halves)


@dataclass
class Splitter:
    """Collects the texts of a corpus; ``split`` enters the decision in their entries."""

    num_held_out_characters: int = 0
    overlap: OverlapGauge = field(default_factory=OverlapGauge)
    _texts: list[_Text] = field(default_factory=list)
    _num_documents: int = 0
    _sketches: dict[int, Sketch] = field(default_factory=dict)
    _groups: dict[int, str] = field(default_factory=dict)
    _num_lines: int = 0
    _one_in: int = 1
    """Of how many lines one is remembered."""

    def add(self, entry: DocumentEntry, traits: TextTraits, *, groups: tuple[str, ...]) -> None:
        """Add a text; ``groups`` has the group of each document, or is empty."""
        first = self._num_documents
        self._num_documents += len(traits.documents)
        for place, one in enumerate(traits.documents[: max(0, MAX_SKETCHES - first)], start=first):
            self._sketches[place] = one.sketch
        self._groups |= dict(enumerate(groups, start=first))
        self._texts.append(_Text.describe(entry, traits))
        self._num_lines += self._texts[-1].thin_lines(self._one_in)
        while self._num_lines > MAX_LINES:
            self._one_in *= 2
            self._num_lines = sum(one.thin_lines(self._one_in) for one in self._texts)

    def split(self) -> bool:
        """Decide; return whether held-out documents have near-duplicates in the training text."""
        choice = choose_held_out(self._list_candidates())
        first = 0
        for text in self._texts:
            places = slice(first, first := first + len(text.sizes))
            if choice.short[places].any():
                self._keep_whole(text, choice.held_out[places])
            else:
                self._cut(text)
        return choice.has_relatives

    def _list_candidates(self) -> Candidates:
        languages = {one.entry.language for one in self._texts}
        numbers = {language: number for number, language in enumerate(sorted(languages))}
        counts = [len(one.sizes) for one in self._texts]
        return Candidates(
            np.repeat([numbers[one.entry.language] for one in self._texts], counts).astype(np.int64),
            np.concatenate([np.zeros(0, np.int64), *(one.sizes for one in self._texts)]),
            np.concatenate([np.zeros(0, np.uint64), *(one.keys for one in self._texts)]),
            self._sketches,
            self._groups,
        )

    def _cut(self, text: _Text) -> None:
        """Hold out the last tenth of a text."""
        text.entry.cut_byte = text.entry.start_byte + text.halves[0].size_bytes
        for half, is_held_out in zip(text.halves, (False, True), strict=True):
            self.overlap.add(half.lines, held_out=is_held_out)
        self.num_held_out_characters += text.halves[1].num_characters

    def _keep_whole(self, text: _Text, held_out: Mask) -> None:
        """Hold out whole documents of a text."""
        if len(held_out) == 1:
            text.entry.cut_byte = text.entry.start_byte if held_out[0] else text.entry.end_byte
        else:
            text.entry.document_bytes = text.sizes.tolist()
            text.entry.held_out = np.flatnonzero(held_out).tolist()
        for is_held_out in (False, True):
            self.overlap.add(text.lines[held_out[text.owners] == is_held_out], held_out=is_held_out)
        self.num_held_out_characters += int(text.num_characters[held_out].sum())
