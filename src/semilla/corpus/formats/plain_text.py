"""Plain text files: their decoding. A byte that does not fit is an error with its place, never dropped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from semilla.corpus.formats.detect import refuse_other_formats
from semilla.corpus.formats.encodings import (
    count_damage,
    find_declared_encoding,
    find_unmarked_encoding,
    guess_encoding,
)
from semilla.corpus.formats.extracted import Extracted, ReadOptions
from semilla.errors import InvalidCorpusError

_BOMS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Longer marks first: little-endian UTF-32 starts with the mark of UTF-16."""
_EXTENDED = {"latin-1": "cp1252", "iso8859-7": "cp1253", "iso8859-8": "cp1255", "iso8859-9": "cp1254"}
"""Encodings of Windows that use the bytes 0x80 to 0x9f, and are often declared under these names."""
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "tis-620": "cp874",
}
"""Encodings with more characters than the one declared, for a file that uses them."""


class UndecodableError(InvalidCorpusError):
    """The bytes are neither UTF-8 nor in the declared encoding; ``guess`` is the encoding to try, if any is likely."""

    def __init__(self, message: str, *, guess: str | None) -> None:
        super().__init__(message)
        self.guess = guess


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document."""
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    yield Extracted(text, encoding=encoding, layout="auto")


def decode_text(
    data: bytes, *, name: str, encoding: str = "auto", may_be_markup: bool = False
) -> tuple[str, str]:
    """Decode a text file; return the text and the encoding found. ``may_be_markup`` lets HTML pass.

    Tried in this order: a byte order mark, UTF-16 and other encodings that the bytes prove, strict UTF-8, what the
    head of the file declares, ``encoding``. Raises InvalidCorpusError for empty, binary and HTML files, and
    UndecodableError for bytes that fit none of these.
    """
    unmarked = find_unmarked_encoding(data)
    refuse_other_formats(data, name=name, may_hold_controls=unmarked is not None, may_be_markup=may_be_markup)
    proven, proof = find_proven_encoding(data, unmarked)
    if proven:
        return _decode_proven(data, proven, name=name, proof=proof), proven
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        failure = error
    tried = list_tried(data, encoding)
    for candidate in list_variants(tried, has_c1_bytes=has_c1_bytes(data)):
        with suppress(UnicodeDecodeError):
            return data.decode(candidate), candidate
    declared = find_declared_encoding(data)
    raise explain_undecodable(data, failure.start, name=name, tried=tried, declared=declared)


def find_proven_encoding(data: bytes, unmarked: str | None) -> tuple[str | None, str]:
    """The encoding of a byte order mark, else ``unmarked``, and what proves it."""
    for mark, marked in _BOMS.items():
        if data.startswith(mark):
            return marked, "its byte order mark says"
    return unmarked, "without a byte order mark, it is"


def list_tried(head: bytes, encoding: str) -> list[str]:
    """The encodings that a text which is not UTF-8 may be in: what its head declares, then what the user names."""
    found = (find_declared_encoding(head), None if encoding == "auto" else encoding)
    return [candidate for candidate in found if candidate]


def list_variants(tried: Iterable[str], *, has_c1_bytes: bool) -> Iterator[str]:
    """Each of these encodings as files use it, and then the one with more characters."""
    for candidate in tried:
        extended = _EXTENDED.get(candidate) if has_c1_bytes else None
        yield extended or candidate
        if candidate in _SUPERSETS:
            yield _SUPERSETS[candidate]


def explain_undecodable(
    data: bytes, place: int, *, name: str, tried: list[str], declared: str | None, offset: int = 0
) -> UndecodableError:
    """The error for a text whose byte at ``place`` is not UTF-8; ``data`` begin at ``offset`` in the file."""
    shown = f"{_name_failed(tried, declared)}: {_describe_place(data, place, offset)}"
    return _advise(data, f"{name} is {shown}", tried=tried)


def _advise(data: bytes, problem: str, *, tried: list[str]) -> UndecodableError:
    num_good, num_bad = count_damage(data)
    if num_good > 2 * num_bad:
        return UndecodableError(
            f"{problem}; it is UTF-8 but for {num_bad:,} damaged bytes, and {num_good:,} characters are sound: "
            "correct these places, or get the file again",
            guess=None,
        )
    guess = guess_encoding(data)
    if guess is None or guess.encoding in tried:
        return UndecodableError(
            f"{problem}; its encoding is not known: name it with --corpus-encoding, or save the text as UTF-8",
            guess=None,
        )
    return UndecodableError(
        f"{problem}; in {guess.encoding} it reads: {guess.line} - if that is right, give "
        f"--corpus-encoding {guess.encoding}",
        guess=guess.encoding,
    )


def _name_failed(tried: list[str], declared: str | None) -> str:
    names = [f"{one}, which it declares" if one == declared else one for one in tried if one != "utf-8"]
    return f"neither UTF-8 nor {' nor '.join(names)}" if names else "not UTF-8"


def _decode_proven(data: bytes, encoding: str, *, name: str, proof: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise explain_damage(encoding, error.start, name=name, proof=proof) from error


def explain_damage(encoding: str, place: int, *, name: str, proof: str) -> InvalidCorpusError:
    """The error for a text that is surely in ``encoding``, but for the byte at ``place``."""
    return InvalidCorpusError(f"{name} is damaged: {proof} {encoding}, but byte {place:,} is not {encoding}")


def has_c1_bytes(data: bytes) -> bool:
    """Find bytes 0x80 to 0x9f: unused control codes in ISO 8859, quotes and dashes in the encodings of Windows."""
    return re.search(rb"[\x80-\x9f]", data) is not None


def _describe_place(data: bytes, place: int, offset: int) -> str:
    around = ascii(data[max(0, place - 12) : place + 12].decode("latin-1"))
    return f"byte 0x{data[place]:02x} at offset {offset + place:,} ({around})"
