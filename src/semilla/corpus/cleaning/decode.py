"""Bytes of a text file -> characters: a byte that does not fit is an error with its place, never dropped."""

from __future__ import annotations

import re

from semilla.errors import InvalidCorpusError

_MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF-": "a PDF document",
    b"{\\rtf": "an RTF document",
    b"\xd0\xcf\x11\xe0": "an Office document",
    b"PK\x03\x04": "a ZIP archive (also .docx, .epub, .pt)",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
}
_BOMS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Longer marks first: UTF-32 little-endian starts with the mark of UTF-16."""

_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\v\f\r"}) + b"\x7f"
_MAX_CONTROL_SHARE = 0.01
_HEAD_BYTES = 20_000
_MARKUP = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html)\b", re.I | re.S
)
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
"""What headers may declare; other names are not looked up, for codecs do more than decode text."""


class UndecodableError(InvalidCorpusError):
    """Bytes that are neither UTF-8 nor what their file declares; ``guess`` is the encoding to try."""

    def __init__(self, message: str, *, guess: str) -> None:
        super().__init__(message)
        self.guess = guess


def decode_text(data: bytes, *, name: str, encoding: str = "auto") -> tuple[str, str]:
    """Decode a text file; return the text and the encoding found.

    A byte order mark wins, then strict UTF-8, then what a Gutenberg header declares, then ``encoding``.
    Raises InvalidCorpusError for empty, binary and HTML files, UndecodableError for bytes that fit none of these.
    """
    _refuse_other_formats(data, name=name)
    for mark, marked in _BOMS.items():
        if data.startswith(mark):
            return _decode_marked(data, marked, name=name), marked
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        failure = error
    for candidate in (find_declared_encoding(data), None if encoding == "auto" else encoding):
        fitting = candidate and _decode_declared(data, candidate)
        if fitting:
            return fitting
    guess = _guess_encoding(data)
    raise UndecodableError(
        f"{name} is not {_name_tried(encoding)}: {_describe_place(data, failure.start)}; "
        f"it looks like {guess}: give --corpus-encoding {guess}",
        guess=guess,
    )


def find_declared_encoding(data: bytes) -> str | None:
    """Find the encoding a Gutenberg header declares, as Python names it; None when it is silent or odd."""
    head = data[:_HEAD_BYTES].replace(b"\r", b"\n")
    declared = _DECLARED.search(head)
    if declared:
        return _ENCODINGS.get(re.sub(r"[\W_]", "", declared[1].decode("ascii", "replace").lower()))
    return "latin-1" if _EIGHT_BIT_NAME.search(head) else None


def looks_like_html(data: bytes) -> bool:
    """Tell whether the file opens as a web page does."""
    return _MARKUP.match(data[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")) is not None


def _refuse_other_formats(data: bytes, *, name: str) -> None:
    if not data.strip(b" \t\r\n\f\v\0\xef\xbb\xbf"):
        raise InvalidCorpusError(f"{name} is empty")
    for magic, kind in _MAGIC.items():
        if data.startswith(magic):
            raise InvalidCorpusError(f"{name} is {kind}, not a text file")
    if looks_like_html(data):
        raise InvalidCorpusError(f"{name} is an HTML page, not a plain text file")
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return
    num_controls = len(data) - len(data.translate(None, _CONTROLS))
    if num_controls > _MAX_CONTROL_SHARE * len(data):
        raise InvalidCorpusError(
            f"{name} is a binary file: {num_controls:,} of its {len(data):,} bytes are control codes"
        )


def _decode_marked(data: bytes, encoding: str, *, name: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidCorpusError(
            f"{name} is marked as {encoding}, which byte {error.start:,} does not fit"
        ) from error


def _decode_declared(data: bytes, encoding: str) -> tuple[str, str] | None:
    if encoding == "latin-1" and _has_c1_bytes(data):
        encoding = "cp1252"
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError:
        return None


def _has_c1_bytes(data: bytes) -> bool:
    """Find bytes 0x80-0x9f: control codes nobody writes in Latin-1, quotes and dashes in cp1252."""
    return re.search(rb"[\x80-\x9f]", data) is not None


def _guess_encoding(data: bytes) -> str:
    if not _has_c1_bytes(data):
        return "latin-1"
    return "cp1252" if _decode_declared(data, "cp1252") else "latin-1"


def _name_tried(encoding: str) -> str:
    return "UTF-8" if encoding in {"auto", "utf-8"} else f"UTF-8 nor {encoding}"


def _describe_place(data: bytes, offset: int) -> str:
    around = ascii(data[max(0, offset - 12) : offset + 12].decode("latin-1"))
    return f"byte 0x{data[offset]:02x} at offset {offset:,} ({around})"
