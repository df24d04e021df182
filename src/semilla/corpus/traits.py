"""What the search for duplicates and the split need to know of a text: computed from it alone, in any process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from semilla.corpus.near_duplicates import NUM_HASHES, Sketch, make_sketch, make_sketches
from semilla.corpus.split import Lines, find_cut, hash_all, hash_long_lines

LEAST_CHARACTERS = 120
"""Of documents and paragraphs that are compared."""
_WORD = re.compile(r"\w+")
_BLOCK_CHARACTERS, _FEW_CHARACTERS = 1 << 17, 1 << 12
_NUM_CODES = 1 << 16
_SEVERAL = 0xFFFF
"""In place of a code that is half of a character, or of a character that becomes several."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Span:
    """A document, or the part of one that is before or after the cut."""

    size_bytes: int
    num_characters: int
    lines: Lines

    @classmethod
    def measure(cls, text: str) -> Span:
        return cls(len(text.encode()), len(text), hash_long_lines(text))

    def pack(self) -> tuple[Any, ...]:
        return self.size_bytes, self.num_characters, self.lines.tobytes()

    @classmethod
    def unpack(cls, packed: tuple[Any, ...]) -> Span:
        size_bytes, num_characters, lines = packed
        return cls(size_bytes, num_characters, np.frombuffer(lines, np.int64).reshape(-1, 2))

    def __add__(self, after: Span) -> Span:
        """Both together; the second begins with a line."""
        return Span(
            self.size_bytes + after.size_bytes,
            self.num_characters + after.num_characters,
            np.concatenate([self.lines, after.lines]),
        )


@dataclass(frozen=True, slots=True)
class Paragraphs:
    """The paragraphs of a document that are compared: the numbers of their lines, and hashes of their words."""

    places: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    sketches: npt.NDArray[np.uint64] | None
    """One a row. None: they are compared by their words only."""

    def pack(self) -> tuple[Any, ...]:
        sketches = None if self.sketches is None else self.sketches.tobytes()
        return self.places.tobytes(), self.keys.tobytes(), sketches

    @classmethod
    def unpack(cls, packed: tuple[Any, ...]) -> Paragraphs:
        places, keys = (np.frombuffer(one, np.int64) for one in packed[:2])
        sketches = None if packed[2] is None else np.frombuffer(packed[2], np.uint64).reshape(-1, NUM_HASHES)
        return cls(places, keys, sketches)


@dataclass(frozen=True, slots=True)
class DocumentTraits:
    span: Span
    sha256: str
    sketch: Sketch
    paragraphs: Paragraphs | None
    """None: they are not compared."""

    def pack(self) -> tuple[Any, ...]:
        paragraphs = self.paragraphs and self.paragraphs.pack()
        return self.span.pack(), self.sha256, self.sketch.tobytes(), paragraphs

    @classmethod
    def unpack(cls, packed: tuple[Any, ...]) -> DocumentTraits:
        span, sha256, sketch, paragraphs = packed
        return cls(
            Span.unpack(span),
            sha256,
            np.frombuffer(sketch, np.uint64),
            paragraphs and Paragraphs.unpack(paragraphs),
        )


@dataclass(frozen=True, slots=True)
class TextTraits:
    """The traits of a text, of each of its documents, and of what is before and after the cut."""

    sha256: str
    documents: tuple[DocumentTraits, ...]
    halves: tuple[Span, Span]

    def pack(self) -> tuple[Any, ...]:
        """The traits in built-in types, to be sent by one process to another."""
        return self.sha256, [one.pack() for one in self.documents], [one.pack() for one in self.halves]

    @classmethod
    def unpack(cls, packed: tuple[Any, ...]) -> TextTraits:
        """What was packed."""
        sha256, documents, halves = packed
        before, after = map(Span.unpack, halves)
        return cls(sha256, tuple(map(DocumentTraits.unpack, documents)), (before, after))


def measure_text(
    text: str, parts: Sequence[str], *, finds_paragraphs: bool = True, compares_similar: bool = True
) -> TextTraits:
    """Measure a text and its documents; none are given for a text that is one document.

    ``finds_paragraphs``: paragraphs are compared. ``compares_similar``: they are also compared by their sketches.
    """
    cut = find_cut(text)
    halves = (Span.measure(text[:cut]), Span.measure(text[cut:]))
    if parts:
        spans = [Span.measure(part) for part in parts]
    else:
        spans = [halves[0] + halves[1] if text[:cut].endswith("\n") else Span.measure(text)]
    found = [
        find_paragraphs(part, compares_similar=compares_similar) if finds_paragraphs else None
        for part in parts or (text,)
    ]
    documents = tuple(
        DocumentTraits(span, hashlib.sha256(part.encode()).hexdigest(), _sketch(part, paragraphs), paragraphs)
        for part, span, paragraphs in zip(parts or (text,), spans, found, strict=True)
    )
    sha256 = hashlib.sha256(text.encode()).hexdigest() if parts else documents[0].sha256
    return TextTraits(sha256, documents, halves)


def _sketch(text: str, paragraphs: Paragraphs | None) -> Sketch:
    """The sketch of a document, which is known if it is a single paragraph."""
    sketches = None if paragraphs is None else paragraphs.sketches
    if sketches is not None and len(sketches) == 1 and "\n" not in text.strip():
        known: Sketch = sketches[0]
        return known
    return make_sketch(text)


def find_paragraphs(text: str, *, compares_similar: bool) -> Paragraphs:
    """Find the paragraphs of a document that are compared; each is a line."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if len(line) >= LEAST_CHARACTERS]
    chosen = [lines[place] for place in places]
    sketches = make_sketches(chosen) if compares_similar else None
    return Paragraphs(np.array(places, np.int64), hash_all(_list_words(chosen)), sketches)


def _list_words(lines: Sequence[str]) -> Iterator[bytes]:
    """The words of each line, without regard to case and to what is between them: in UTF-16, with NUL after each."""
    start = num_characters = 0
    for end, line in enumerate(lines, start=1):
        num_characters += len(line)
        if num_characters >= _BLOCK_CHARACTERS:
            yield from _list_words_at_once(lines[start:end])
            start, num_characters = end, 0
    is_much = num_characters >= _FEW_CHARACTERS
    yield from _list_words_at_once(lines[start:]) if is_much else map(_join_words, lines[start:])


def _join_words(line: str) -> bytes:
    return "".join(f"{word}\0" for word in _WORD.findall(line.casefold())).encode("utf-16-le")


def _list_words_at_once(lines: Sequence[str]) -> Iterator[bytes]:
    """The same in a third of the time for many lines."""
    text = "\n".join([*lines, ""])
    codes = np.frombuffer(text.encode("utf-16-le"), "<u2")
    folded = _fold_codes()[codes]
    if _SEVERAL in folded:
        yield from map(_join_words, lines)
        return
    is_word = folded != 0
    is_kept = is_word.copy()
    is_kept[1:] |= is_word[:-1]  # one character after each word, which becomes NUL
    words = folded[is_kept].tobytes()
    starts = np.flatnonzero(codes[:-1] == ord("\n")) + 1
    num_kept = np.add.reduceat(is_kept, np.append(0, starts), dtype=np.int64)
    ends = (np.cumsum(num_kept) * codes.itemsize).tolist()
    for start, end in pairwise([0, *ends]):
        yield words[start:end]


@cache
def _fold_codes() -> npt.NDArray[np.uint16]:
    """For each code of UTF-16, its case-folded letter, digit or underscore; 0 for any other character."""
    folded = [chr(code).casefold() for code in range(_NUM_CODES)]
    is_single = [len(one) == 1 and not _SURROGATE.match(one) for one in folded]
    codes = [
        (ord(one) if _WORD.match(one) else 0) if single else _SEVERAL
        for one, single in zip(folded, is_single, strict=True)
    ]
    return np.array(codes, "<u2")
