"""Plain text files: which encoding they are in. A byte that does not fit is an error with its place, never dropped."""

from __future__ import annotations

import re

from semilla.corpus.formats.detect import HEAD_BYTES, refuse_other_formats
from semilla.errors import InvalidCorpusError

_BOMS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Longer marks first: little-endian UTF-32 starts with the mark of UTF-16."""
_DECLARED = re.compile(rb"^Character set encoding: *([\w .-]+)", re.M | re.I)
_EIGHT_BIT_NAME = re.compile(rb"This file should be named [\w.]*-8\.(?:txt|zip)", re.I)
"""Project Gutenberg's own sign for Latin-1, from the years before headers declared an encoding."""
_ENCODINGS = {
    "utf8": "utf-8",
    "iso88591": "latin-1",
    "isolatin1": "latin-1",
    "latin1": "latin-1",
    "iso885915": "iso8859-15",
    "windows1252": "cp1252",
    "cp1252": "cp1252",
    "windows1250": "cp1250",
    "iso88592": "iso8859-2",
    "macroman": "mac-roman",
    "utf16": "utf-16",
}
"""What headers may declare. Other names are not looked up, because some of Python's codecs do not decode text."""


class UndecodableError(InvalidCorpusError):
    """The bytes are neither UTF-8 nor in the declared encoding; ``guess`` is the encoding to try."""

    def __init__(self, message: str, *, guess: str) -> None:
        super().__init__(message)
        self.guess = guess


def decode_text(data: bytes, *, name: str, encoding: str = "auto") -> tuple[str, str]:
    """Decode a text file; return the text and the encoding found.

    Tried in this order: a byte order mark, strict UTF-8, what a Gutenberg header declares, ``encoding``. Raises
    InvalidCorpusError for empty, binary and HTML files, UndecodableError for bytes that fit none of these.
    """
    refuse_other_formats(data, name=name)
    for mark, marked in _BOMS.items():
        if data.startswith(mark):
            return _decode_marked(data, marked, name=name), marked
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        failure = error
    for candidate in (find_declared_encoding(data), None if encoding == "auto" else encoding):
        decoded = candidate and _decode_declared(data, candidate)
        if decoded:
            return decoded
    guess = _guess_encoding(data)
    tried = "not UTF-8" if encoding in {"auto", "utf-8"} else f"neither UTF-8 nor {encoding}"
    raise UndecodableError(
        f"{name} is {tried}: {_describe_place(data, failure.start)}; "
        f"it looks like {guess}: give --corpus-encoding {guess}",
        guess=guess,
    )


def find_declared_encoding(data: bytes) -> str | None:
    """Find the encoding a Gutenberg header declares, as Python names it; None if it declares none that we know."""
    head = data[:HEAD_BYTES].replace(b"\r", b"\n")
    declared = _DECLARED.search(head)
    if declared:
        return _ENCODINGS.get(re.sub(r"[\W_]", "", declared[1].decode("ascii", "replace").lower()))
    return "latin-1" if _EIGHT_BIT_NAME.search(head) else None


def _decode_marked(data: bytes, encoding: str, *, name: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidCorpusError(
            f"{name} is damaged: its byte order mark says {encoding}, but byte {error.start:,} is not {encoding}"
        ) from error


def _decode_declared(data: bytes, encoding: str) -> tuple[str, str] | None:
    if encoding == "latin-1" and _has_c1_bytes(data):
        encoding = "cp1252"
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError:
        return None


def _has_c1_bytes(data: bytes) -> bool:
    """Find bytes 0x80 to 0x9f: unused control codes in Latin-1, quotes and dashes in cp1252."""
    return re.search(rb"[\x80-\x9f]", data) is not None


def _guess_encoding(data: bytes) -> str:
    return "cp1252" if _has_c1_bytes(data) and _decode_declared(data, "cp1252") else "latin-1"


def _describe_place(data: bytes, offset: int) -> str:
    around = ascii(data[max(0, offset - 12) : offset + 12].decode("latin-1"))
    return f"byte 0x{data[offset]:02x} at offset {offset:,} ({around})"
