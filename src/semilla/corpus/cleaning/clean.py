"""From the bytes of a file to clean text: each paragraph, heading, verse or spoken line on a line of its own.

The text is NFC and ends in a single line break. It has no control characters, no runs of spaces, and neither U+2581
nor U+2585, which SentencePiece uses itself. Prefaces and title pages stay. Credits, licences, captions, page numbers
and the underscores of ``_italics_`` are removed (see ``gutenberg`` and ``boilerplate``), and every removal is counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

from semilla.corpus.cleaning.boilerplate import strip_boilerplate, strip_marks
from semilla.corpus.cleaning.gutenberg import Body, names_gutenberg, strip_header_and_licence
from semilla.corpus.cleaning.paragraphs import PICTURE_GAP, join_wrapped_lines, measure_wrap_column
from semilla.corpus.formats.mojibake import find_double_encoding
from semilla.corpus.formats.plain_text import decode_text
from semilla.errors import InvalidCorpusError

_LINE_BREAKS = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\ufeff\ufffe\uffff]")
"""C0, C1, the soft hyphen, stray byte order marks, and two code points that are never characters."""
_RESERVED = str.maketrans({"\u2581": "_", "\u2585": "\u2588"})
_SPACES = re.compile(r"[^\S\n]+")
_ODD_SPACES = re.compile(r"[^\S\n \t]")
_MARK_RUN = re.compile(r"[^\w\s!-~]{31,}")
_MAX_STACKED_MARKS = 30
"""As in Unicode's Stream-Safe Text Format (UAX 15): the time to sort a stack grows with the square of its height."""
_BLANK_LINES = re.compile(r"\n{2,}")
_BLANK_RUN = re.compile(r"\n{3,}")

_MAX_HEADER_CHARACTERS = 15_000
_MAX_LICENCE_CHARACTERS = 22_000
"""The licence is about 19,000 characters long. The rest is for the credits before it and a note after it."""


@dataclass(frozen=True)
class CleanText:
    """The text of a document, what its file says about it, and what was removed.

    ``markers`` says which Project Gutenberg markers were found: both, start, end or none. ``removed`` counts
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
    """Clean the bytes of one file. ``encoding`` is used for a file that is not UTF-8 and declares no encoding.

    Raises InvalidCorpusError for files that are empty, binary, HTML or undecodable, and when the markers leave less
    than half of what is not header and licence: then a marker was misread, and half of a book would be lost.
    """
    decoded, encoding = decode_text(data, name=name, encoding=encoding)
    text, replaced = normalise_characters(decoded)
    body = strip_header_and_licence(text)
    _refuse_half_a_book(body, len(text), name=name)
    from_gutenberg = body.markers != "none" or names_gutenberg(text)
    if from_gutenberg:
        strip_boilerplate(body)
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
        warnings=(
            *_list_warnings(body, name=name, from_gutenberg=from_gutenberg),
            *_warn_about_encoding(decoded, name=name),
        ),
    )


def normalise_characters(text: str) -> tuple[str, Counter[str]]:
    """Normalise line breaks, spaces and accents (NFC), remove control characters; return the text and what changed."""
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
    """Keep the first accents of every stack."""
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
            f"{name}: its Project Gutenberg markers enclose {num_kept:,} of {num_all:,} characters, "
            "less than half; remove the misplaced marker, or all markers"
        )


def _warn_about_encoding(text: str, *, name: str) -> tuple[str, ...]:
    double = find_double_encoding(text)
    if double is None:
        return ()
    return (
        f"{name} was encoded twice: it has {double.count:,} characters such as {double.found!r} in place of "
        f"{double.meant!r}; kept as it is. If it is all like that, repair it: iconv -f UTF-8 -t CP1252",
    )


def _list_warnings(body: Body, *, name: str, from_gutenberg: bool) -> tuple[str, ...]:
    if body.markers == "both" or not from_gutenberg:
        return ()
    if body.markers == "none":
        return (f"{name} names Project Gutenberg but has no marker: kept, without the passages that name it",)
    missing = "end" if body.markers == "start" else "start"
    return (f"{name} has no {missing} marker: kept to the {missing} of the file",)
