"""Bytes of a file -> clean text: each paragraph, heading, verse or spoken line on a line of its own.

The text is NFC, ends in a single line break, and holds no control characters, no runs of spaces and neither
U+2581 nor U+2585, which SentencePiece uses for itself. Prefaces and title pages stay; credits, licences,
captions, page numbers and the underscores of ``_italics_`` go (see ``gutenberg`` and ``apparatus``).
Everything taken out is counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

from semilla.corpus.cleaning.boilerplate import strip_apparatus, strip_marks
from semilla.corpus.cleaning.decode import decode_text
from semilla.corpus.cleaning.gutenberg import Body, names_gutenberg, strip_header_and_licence
from semilla.corpus.cleaning.paragraphs import PICTURE_GAP, join_wrapped_lines, measure_wrap_column
from semilla.errors import InvalidCorpusError

_LINE_BREAKS = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\ufeff\ufffe\uffff]")
"""C0, C1, the soft hyphen, stray byte order marks and two code points that are never characters."""
_RESERVED = str.maketrans({"\u2581": "_", "\u2585": "\u2588"})
_SPACES = re.compile(r"[^\S\n]+")
_ODD_SPACES = re.compile(r"[^\S\n \t]")
_MARK_RUN = re.compile(r"[^\w\s!-~]{31,}")
_MAX_STACKED_MARKS = 30
"""As in Unicode's Stream-Safe Text Format (UAX 15): sorting a stack takes time with its square."""
_BLANK_LINES = re.compile(r"\n{2,}")
_BLANK_RUN = re.compile(r"\n{3,}")

_MAX_HEADER_CHARACTERS = 15_000
_MAX_LICENCE_CHARACTERS = 22_000
"""The licence is some 19,000 characters long; the credits before it and a note after it belong to it."""


@dataclass(frozen=True)
class CleanText:
    """A document's text, what its file said about itself, and what was taken out.

    ``markers`` tells which Project Gutenberg markers were found: both, start, end or none. ``removed`` counts
    characters, lines, blocks or marks by kind.
    """

    text: str
    encoding: str
    markers: str
    title: str | None = None
    author: str | None = None
    removed: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def clean_file(data: bytes, *, name: str, encoding: str = "auto") -> CleanText:
    """Clean the bytes of one file; ``encoding`` serves files that are neither UTF-8 nor declare another.

    Raises InvalidCorpusError for files that are empty, binary, HTML or undecodable, and when the markers
    leave less than half of what is not header and licence: a marker was misread then, and half a book is no
    result.
    """
    decoded, encoding = decode_text(data, name=name, encoding=encoding)
    text, replaced = normalise_characters(decoded)
    body = strip_header_and_licence(text)
    _refuse_half_a_book(body, len(text), name=name)
    from_gutenberg = body.markers != "none" or names_gutenberg(text)
    if from_gutenberg:
        strip_apparatus(body)
    lines = _arrange_lines(body, from_gutenberg=from_gutenberg)
    clean = lines.strip()
    if not clean:
        raise InvalidCorpusError(f"{name} holds no text")
    return CleanText(
        text=f"{clean}\n",
        encoding=encoding,
        markers=body.markers,
        title=body.title,
        author=body.author,
        removed={kind: count for kind, count in sorted((body.removed + replaced).items()) if count},
        warnings=_list_warnings(body, name=name, from_gutenberg=from_gutenberg),
    )


def normalise_characters(text: str) -> tuple[str, Counter[str]]:
    """One kind of line break, no control characters, NFC; returns the text and what was changed."""
    counts: Counter[str] = Counter()
    text = _LINE_BREAKS.sub("\n", text)
    text, counts["control_characters"] = _CONTROLS.subn("", text)
    counts["reserved_characters"] = text.count("\u2581") + text.count("\u2585")
    if counts["reserved_characters"]:
        text = text.translate(_RESERVED)
    text = _ODD_SPACES.sub(" ", text.expandtabs(8))
    unstacked = _MARK_RUN.sub(_unstack_marks, text)
    counts["stacked_marks"] = len(text) - len(unstacked)
    return unicodedata.normalize("NFC", unstacked), counts


def _unstack_marks(run: re.Match[str]) -> str:
    """Keep the first marks of every stack of accents."""
    kept: list[str] = []
    height = 0
    for one in run[0]:
        height = height + 1 if unicodedata.combining(one) else 0
        if height <= _MAX_STACKED_MARKS:
            kept.append(one)
    return "".join(kept)


def _arrange_lines(body: Body, *, from_gutenberg: bool) -> str:
    column = measure_wrap_column(body.text)
    if column is None:
        text = body.text.replace(PICTURE_GAP, "")
    else:
        text = "\n".join(join_wrapped_lines(body.text, column=column))
    if from_gutenberg:
        text = strip_marks(text, removed=body.removed)
    lines = "\n".join(line.strip() for line in _SPACES.sub(" ", text).split("\n"))
    return _BLANK_LINES.sub("\n", lines) if from_gutenberg else _BLANK_RUN.sub("\n\n", lines)


def _refuse_half_a_book(body: Body, num_all: int, *, name: str) -> None:
    num_kept = len(body.text)
    expected_loss = body.num_pieces * (_MAX_HEADER_CHARACTERS + _MAX_LICENCE_CHARACTERS)
    if num_kept * 2 < num_all - min(num_all - num_kept, expected_loss):
        raise InvalidCorpusError(
            f"{name}: its Project Gutenberg markers leave {num_kept:,} of {num_all:,} characters, "
            "less than half; remove the misplaced marker, or the markers altogether"
        )


def _list_warnings(body: Body, *, name: str, from_gutenberg: bool) -> tuple[str, ...]:
    if body.markers == "both" or not from_gutenberg:
        return ()
    if body.markers == "none":
        return (f"{name} names Project Gutenberg but carries no marker: kept whole but for what names it",)
    missing = "end" if body.markers == "start" else "start"
    return (f"{name} has no {missing} marker: kept to the file's {missing}",)
