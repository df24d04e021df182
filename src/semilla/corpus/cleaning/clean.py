"""From the bytes of a file to clean text: each paragraph, heading, verse or spoken line on a line of its own.

The text is NFC and ends in a single line break. It has no control characters, no runs of spaces, and neither U+2581
nor U+2585, which SentencePiece uses itself. Prefaces and title pages stay. Credits, licences, captions, page numbers
and the underscores of ``_italics_`` are removed (see ``gutenberg`` and ``boilerplate``), and every removal is counted.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from semilla.corpus.cleaning.boilerplate import strip_boilerplate, strip_marks
from semilla.corpus.cleaning.gutenberg import Pieces, opens_like_gutenberg, separate_books
from semilla.corpus.cleaning.layout import Layout, join_lines
from semilla.corpus.cleaning.ledger import Ledger, Step
from semilla.corpus.cleaning.printed_columns import find_columns
from semilla.corpus.formats.detect import TERMINAL_CODES
from semilla.corpus.formats.mojibake import find_double_encoding
from semilla.corpus.formats.plain_text import decode_text
from semilla.errors import InvalidCorpusError

_LINE_BREAKS = "\r\v\f\x85\u2028\u2029"
_TERMINAL_CODES = re.compile(TERMINAL_CODES)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\ufeff\ufffe\uffff]")
"""C0, C1, the soft hyphen, stray byte order marks, and two code points that are never characters."""
_RESERVED = str.maketrans({"\u2581": "_", "\u2585": "\u2588"})
_ODD_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f]")
"""Every space but the usual one, the tab and the wide one of Chinese and Japanese."""
_CONTROLS_OR_SPACES = re.compile(_CONTROLS.pattern[:-1] + _ODD_SPACES.pattern[1:])
_UNUSUAL = re.compile(
    "[^\t\n -~\xa1-\xac\xae-\u02ff\u2010-\u2027\u2030-\u205e\u2070-\u20cf\u2100-\u2580\u2586-\u2bff\u4e00-\u9fff\ufffd]"
)
"""What may be removed, replaced or an accent. The others are all characters of most texts."""
_MARK_RUN = re.compile(r"[^\x00-\u02ff\w\s][^\x00-\u02ff\w\s]{30,}")
"""Combining marks begin at U+0300."""
_MAX_STACKED_MARKS = 30
"""As in Unicode's Stream-Safe Text Format (UAX 15): the time to sort a stack grows with the square of its height."""
_BLANK_RUN = re.compile(r"\n\n\n\n+")


@dataclass(frozen=True)
class CleanText:
    """The text of a document, what its file says about it, and what was removed.

    ``markers`` says which Project Gutenberg markers were found: both, start, end or none. ``removed`` counts
    characters by kind, and ``examples`` shows the first of each kind. ``replaced`` counts those that another
    character stands for: line breaks that became spaces, for example.
    """

    text: str
    encoding: str
    markers: str
    title: str | None = None
    author: str | None = None
    removed: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    decoded_characters: int = 0
    """Length of the text before cleaning."""
    own_characters: int = 0
    """Characters of text before, between and after the books, if the file has any."""
    columns: str | None = None
    """A line of two columns of prose that stand side by side, if the text has such columns."""
    warnings: tuple[str, ...] = ()


def clean_file(data: bytes, *, name: str, encoding: str = "auto", layout: Layout = "auto") -> CleanText:
    """Clean the bytes of one file. ``encoding`` is used for a file that is not UTF-8 and declares no encoding.

    Raises InvalidCorpusError for files that are empty, binary, HTML or undecodable.
    """
    decoded, encoding = decode_text(data, name=name, encoding=encoding)
    return clean_text(decoded, name=name, encoding=encoding, layout=layout)


def clean_text(
    decoded: str,
    *,
    name: str,
    encoding: str = "utf-8",
    layout: Layout = "auto",
    steps: list[Step] | None = None,
) -> CleanText:
    """Clean a text. ``encoding`` is only recorded; ``layout`` is described at ``Layout``; ``steps`` is appended to.

    Raises InvalidCorpusError when nothing is left.
    """
    if layout == "verbatim":
        return _keep_verbatim(decoded, name=name, encoding=encoding)
    ledger = Ledger(steps=steps)
    text = normalise_characters(decoded, ledger=ledger)
    ledger.show("characters", decoded, text)
    separated = separate_books(text, ledger=ledger)
    pieces = "\n".join(piece.text for piece in separated.pieces)
    ledger.show("books", text, pieces)
    parts: list[str] = []
    was_book = False
    for piece in separated.pieces:
        parts.append("\n" if was_book and piece.is_book else "\n\n")
        parts.append((_clean_book if piece.is_book else _clean_own_text)(piece.text, ledger, layout))
        was_book = piece.is_book
    clean = "".join(parts[1:]).strip("\n")
    if not clean.strip():
        raise InvalidCorpusError(f"{name} holds no text")
    clean += "\n"
    ledger.show("lines", pieces, clean)
    return CleanText(
        text=clean,
        encoding=encoding,
        markers=separated.markers,
        title=separated.title,
        author=separated.author,
        removed=ledger.close(decoded, clean),
        examples=ledger.examples,
        decoded_characters=len(decoded),
        own_characters=separated.own_characters,
        columns=find_columns(text),
        replaced={kind: count for kind, count in sorted(ledger.replaced.items()) if count},
        warnings=(
            *_list_warnings(separated, text, name=name),
            *_warn_about_encoding(decoded, name=name),
        ),
    )


def _keep_verbatim(decoded: str, *, name: str, encoding: str) -> CleanText:
    """Keep every character but NUL, line ends of other systems, and SentencePiece's own two marks."""
    ledger = Ledger()
    text = decoded.replace("\r\n", "\n").replace("\r", "\n")
    ledger.replaced["reserved_characters"] = text.count("\u2581") + text.count("\u2585")
    clean = text.translate(_RESERVED).replace("\0", "").strip("\n")
    ledger.count("control_characters", text.count("\0"), example=r"\x00")
    if not clean.strip():
        raise InvalidCorpusError(f"{name} holds no text")
    clean += "\n"
    return CleanText(
        text=clean,
        encoding=encoding,
        markers="none",
        removed=ledger.close(decoded, clean),
        decoded_characters=len(decoded),
        replaced={kind: count for kind, count in ledger.replaced.items() if count},
        warnings=_warn_about_encoding(decoded, name=name),
    )


def normalise_characters(text: str, *, ledger: Ledger) -> str:
    """Normalise line breaks, spaces and accents (NFC) and remove control characters."""
    text = text.replace("\r\n", "\n")
    if not _UNUSUAL.search(text) and unicodedata.is_normalized("NFC", text):
        return text
    for line_break in _LINE_BREAKS:
        text = text.replace(line_break, "\n")
    if "\x1b" in text or "\x08" in text:
        text = _remove("terminal_codes", _TERMINAL_CODES, text, ledger)
    clean = text
    if _CONTROLS_OR_SPACES.search(text):
        clean = _remove("control_characters", _CONTROLS, text, ledger)
        clean, num_odd = _ODD_SPACES.subn(" ", clean)
        ledger.replaced["odd_spaces"] += num_odd
    ledger.replaced["reserved_characters"] += clean.count("\u2581") + clean.count("\u2585")
    if ledger.replaced["reserved_characters"]:
        clean = clean.translate(_RESERVED)
    unstacked = _MARK_RUN.sub(_unstack_marks, clean)
    ledger.count("stacked_marks", len(clean) - len(unstacked), example=_find_difference(clean, unstacked))
    composed = unicodedata.normalize("NFC", unstacked)
    num_composed = max(0, len(unstacked) - len(composed))
    ledger.count("combining_marks", num_composed, example=_find_difference(unstacked, composed))
    return composed


def _remove(kind: str, pattern: re.Pattern[str], text: str, ledger: Ledger) -> str:
    """Remove characters that nobody can see; their example shows their codes."""
    first = pattern.search(text)
    if first is None:
        return text
    bare = pattern.sub("", text)
    ledger.count(kind, len(text) - len(bare), example=ascii(first[0])[1:-1])
    return bare


def _find_difference(before: str, after: str) -> str:
    """Find the first character of ``before`` that is another one in ``after``, as code points; empty if none is."""
    if before == after:
        return ""
    place = next(
        (place for place, pair in enumerate(zip(before, after, strict=False)) if len(set(pair)) > 1), 0
    )
    return ascii(before[place : place + 2])[1:-1]


def _unstack_marks(run: re.Match[str]) -> str:
    """Keep the first accents of every stack."""
    kept: list[str] = []
    height = 0
    for one in run[0]:
        height = height + 1 if unicodedata.combining(one) else 0
        if height <= _MAX_STACKED_MARKS:
            kept.append(one)
    return "".join(kept)


def _clean_book(text: str, ledger: Ledger, layout: Layout) -> str:
    """Give each paragraph, heading, verse and spoken line of a book a line of its own, without layout."""
    stripped = strip_boilerplate(text.expandtabs(8), ledger=ledger)
    arranged = join_lines(stripped, layout=layout, is_book=True)
    ledger.count("hyphens", arranged.num_hyphens, example="-")
    ledger.replaced["line_breaks_in_books"] += arranged.num_joined
    marked = strip_marks(arranged.text, ledger=ledger)
    lines = (" ".join(line.split()) for line in marked.split("\n"))
    return "\n".join(line for line in lines if line)


def _clean_own_text(text: str, ledger: Ledger, layout: Layout) -> str:
    """Join wrapped paragraphs; everything else keeps its lines, and they their layout."""
    arranged = join_lines(text, layout=layout, is_book=False)
    ledger.count("hyphens", arranged.num_hyphens, example="-")
    ledger.replaced["line_breaks"] += arranged.num_joined
    return _BLANK_RUN.sub("\n\n\n", arranged.text)


def _warn_about_encoding(text: str, *, name: str) -> tuple[str, ...]:
    double = find_double_encoding(text)
    if double is None:
        return ()
    return (
        f"{name} was encoded twice: it has {double.count:,} characters such as {double.found!r} in place of "
        f"{double.meant!r}; kept as it is: --repair mends it",
    )


def _list_warnings(separated: Pieces, text: str, *, name: str) -> tuple[str, ...]:
    if separated.markers == "none" and opens_like_gutenberg(text):
        return (
            f"{name} begins as Project Gutenberg's texts do, but has no marker: kept whole, with its header",
        )
    if separated.markers not in {"start", "end"}:
        return ()
    missing = "end" if separated.markers == "start" else "start"
    return (f"{name} has no {missing} marker: kept to the {missing} of the file",)
