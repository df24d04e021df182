"""Reads a large file in pieces that end where a paragraph, a line of JSON or a row of a table does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedReader

from semilla.corpus.formats.encodings import find_unmarked_encoding
from semilla.corpus.formats.extracted import MAX_FILE_BYTES, UnreadableError
from semilla.corpus.formats.known import find_format

LARGE_FILE_BYTES = 32 << 20
"""A larger file is read in pieces, if its format allows that."""
PIECE_BYTES = 2 << 20
_HEAD_BYTES = 1 << 16
_TRIED_ROWS = 100
_BLANK_LINES = (b"\n\n", b"\n\r\n")
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""Byte order marks of UTF-16 and UTF-32, where a line break is not one byte."""

Cut = Callable[[bytes], int]
"""Finds where a piece ends in the bytes read so far; 0: they hold no end."""


def cut_file(file: BufferedReader, *, name: str) -> Iterator[bytes] | None:
    """The pieces of a file, each a file of the same format; None for a format that is read as a whole.

    A piece has PIECE_BYTES or less, but for the rest of a row or a line that is longer.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    cut = _CUTS.get(find_format(name, head).name)
    if cut is None or head.startswith(_WIDE_MARKS) or find_unmarked_encoding(head):
        return None
    header = file.readline() if cut is find_row_end else b""
    return _cut(file, cut, header, name)


def _cut(file: BufferedReader, cut: Cut, header: bytes, name: str) -> Iterator[bytes]:
    rest = b""
    while piece := file.read(PIECE_BYTES):
        rest += piece
        if len(rest) > MAX_FILE_BYTES:
            raise UnreadableError(
                f"{name} has a row of more than {MAX_FILE_BYTES >> 20} MB", reason="too large"
            )
        end = cut(rest)
        if end:
            yield header + rest[:end]
            rest = rest[end:]
    if rest:
        yield header + rest


def find_paragraph_end(data: bytes) -> int:
    """Behind the last blank line, else behind the last line."""
    ends = [data.rfind(blank) + len(blank) for blank in _BLANK_LINES if blank in data]
    return max(ends, default=0) or find_line_end(data)


def find_line_end(data: bytes) -> int:
    """Behind the last line break."""
    return data.rfind(b"\n") + 1


def find_row_end(data: bytes) -> int:
    """Behind the last line break that is outside quotes."""
    end = find_line_end(data)
    for _ in range(_TRIED_ROWS):
        if data.count(b'"', 0, end) % 2 == 0:
            return end
        end = data.rfind(b"\n", 0, max(end - 1, 0)) + 1
    return 0


_CUTS: dict[str, Cut] = {
    "text": find_paragraph_end,
    "JSON Lines": find_line_end,
    "CSV": find_row_end,
}
