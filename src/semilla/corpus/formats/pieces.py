"""Cuts a large text between paragraphs, Markdown between blocks, and mail between messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from semilla.corpus.formats.extracted import MAX_FILE_BYTES, UnreadableError

LARGE_FILE_BYTES = 32 << 20
"""A larger file is read in pieces, if its format allows that."""
PIECE_BYTES = 2 << 20
MARKDOWN_BYTES = 1 << 20
"""Of a piece of Markdown: its parser takes about thirty times that in memory."""
MAX_LABELS = 100_000
_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
_MESSAGE = re.compile(rb"\n\r?\n(?=From [^\r\n]+\r?\n)")
_FENCE_OR_BLOCK = re.compile(
    rb"^ {0,3}(?P<fence>`{3,}|~{3,})(?P<info>[^\r\n]*)|"
    rb"^[ \t]*\r?\n(?=#{1,6}[ \t]|[A-Za-z\"'(\xc2-\xf4]|\*\*[^*\s]|[0-9]+[^0-9.)])",
    re.M,
)
"""A fence of code, or a blank line before a heading or a paragraph that is in no list or quotation."""
_DEFINITION = re.compile(rb"^ {0,3}\[(?P<label>(?!\^)[^\[\]\r\n]{1,999})\]:[ \t]*\S", re.M)
_LABEL = re.compile(rb"\[([^\[\]\r\n]{1,999})\]")

Cut = Callable[[bytes], int]
"""Finds where a piece ends in the bytes read so far; 0: they hold no end."""


def cut(blocks: Iterable[bytes], find_end: Cut, *, size_bytes: int, name: str) -> Iterator[bytes]:
    """Cut a file into pieces of about ``size_bytes``. Raises UnreadableError for 128 MB without an end."""
    rest, wanted_bytes = b"", size_bytes
    for block in blocks:
        rest += block
        if len(rest) > MAX_FILE_BYTES:
            raise UnreadableError(
                f"{name} has no place to cut it in {MAX_FILE_BYTES >> 20} MB: divide it into several files",
                reason="too large",
            )
        if len(rest) < wanted_bytes:
            continue
        end = find_end(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
        wanted_bytes = size_bytes if end else 2 * len(rest)
    if rest:
        yield rest


def find_paragraph_end(data: bytes) -> int:
    """Behind the last blank line, else behind the last line."""
    possible = _BLANK_LINES if b"\r" in data else _BLANK_LINES[:1]
    ends = [data.rfind(blank) + len(blank) for blank in possible if blank in data]
    return max(ends, default=0) or data.rfind(b"\n") + 1


def find_message_end(data: bytes) -> int:
    """Before the last message of a mailbox."""
    return max((match.end() for match in _MESSAGE.finditer(data)), default=0)


def find_block_end(data: bytes) -> int:
    """Before the last block of Markdown that surely begins a new one: outside of code, lists and quotations."""
    end, fence = 0, b""
    for match in _FENCE_OR_BLOCK.finditer(data):
        found = match["fence"]
        if found is None:
            end = end if fence else match.end()
        elif not fence:
            fence = found if found[:1] == b"~" or b"`" not in match["info"] else b""
        elif found.startswith(fence) and not match["info"].strip():
            fence = b""
    return end


@dataclass(frozen=True)
class LinkLabels:
    """The labels of links that a Markdown text defines, ``[label]: address``, which may be in another piece."""

    labels: dict[bytes, bytes]

    @classmethod
    def find(cls, blocks: Iterable[bytes]) -> LinkLabels:
        """Find those of a whole file."""
        found: dict[bytes, bytes] = {}
        line = b""
        for block in blocks:
            *lines, line = (line + block).rpartition(b"\n")
            for match in _DEFINITION.finditer(b"".join(lines)):
                if len(found) < MAX_LABELS:
                    found[_normalize(match["label"])] = match["label"]
        return cls(found)

    def define_in(self, piece: bytes, *, is_first: bool) -> bytes:
        """The piece with the definitions that it needs, which are not shown; the first piece may have a head."""
        used = {_normalize(label) for label in _LABEL.findall(piece)} & self.labels.keys()
        lines = b"".join(b"[%b]: x\n" % self.labels[label] for label in sorted(used))
        if not lines:
            return piece
        return b"%b\n\n%b" % (piece, lines) if is_first else b"%b\n%b" % (lines, piece)


def _normalize(label: bytes) -> bytes:
    return b" ".join(label.decode("utf-8", "replace").casefold().encode().split())
