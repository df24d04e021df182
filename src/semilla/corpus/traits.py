"""What the search for duplicates and the split need to know of a text: computed from it alone, in any process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from semilla.corpus.near_duplicates import NUM_HASHES, Sketch, make_sketch
from semilla.corpus.split import Lines, find_cut, hash_bytes, hash_long_lines

LEAST_CHARACTERS = 120
"""Of documents and paragraphs that are compared."""
_WORD = re.compile(r"\w+")
_BLOCK_CHARACTERS = 1 << 17
_LAST_CODE = 0xFFFF


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
    documents = tuple(
        DocumentTraits(
            span,
            hashlib.sha256(part.encode()).hexdigest(),
            # Before the document, which has the same sketch if it is one paragraph.
            paragraphs=find_paragraphs(part, compares_similar=compares_similar) if finds_paragraphs else None,
            sketch=make_sketch(part),
        )
        for part, span in zip(parts or (text,), spans, strict=True)
    )
    sha256 = hashlib.sha256(text.encode()).hexdigest() if parts else documents[0].sha256
    return TextTraits(sha256, documents, halves)


def find_paragraphs(text: str, *, compares_similar: bool) -> Paragraphs:
    """Find the paragraphs of a document that are compared; each is a line."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if len(line) >= LEAST_CHARACTERS]
    keys = [hash_bytes(words.encode()) for words in _list_words([lines[place] for place in places])]
    sketches = [make_sketch(lines[place]) for place in places] if compares_similar else None
    return Paragraphs(
        np.array(places, np.int64),
        np.array(keys, np.int64),
        None if sketches is None else np.array(sketches, np.uint64).reshape(len(places), NUM_HASHES),
    )


def _list_words(lines: Sequence[str]) -> Iterator[str]:
    """The words of each line, without regard to case and to what is between the words, with NUL between them."""
    start = num_characters = 0
    for end, line in enumerate(lines, start=1):
        num_characters += len(line)
        if num_characters >= _BLOCK_CHARACTERS:
            yield from _list_words_at_once(lines[start:end])
            start, num_characters = end, 0
    yield from map(_join_words, lines[start:])


def _join_words(line: str) -> str:
    return "\0".join(_WORD.findall(line.casefold()))


def _list_words_at_once(lines: Sequence[str]) -> Iterator[str]:
    """The same in half of the time for many lines."""
    text = "".join(f"{line}\n" for line in lines).casefold()
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    if codes.max() > _LAST_CODE:
        yield from map(_join_words, lines)
        return
    is_word = _find_word_codes()[codes]
    is_kept = is_word.copy()
    is_kept[1:] |= is_word[:-1]  # one character after each word, which becomes NUL
    words = (codes * is_word)[is_kept].tobytes().decode("utf-32-le")
    starts = np.flatnonzero(codes[:-1] == ord("\n")) + 1
    num_kept = np.add.reduceat(is_kept, np.append(0, starts), dtype=np.int64)
    for end, size in zip(np.cumsum(num_kept).tolist(), num_kept.tolist(), strict=True):
        yield words[end - size : end].removesuffix("\0")


@cache
def _find_word_codes() -> npt.NDArray[np.bool_]:
    """For each code point of 16 bits, whether it is a letter, a digit or an underscore."""
    return np.array([_WORD.match(chr(code)) is not None for code in range(_LAST_CODE + 1)])
