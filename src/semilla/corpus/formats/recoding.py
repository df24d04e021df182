"""Reads a large text in any encoding as UTF-8, a block at a time, by the same rules as a small one."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from semilla.corpus.formats.detect import refuse_other_formats
from semilla.corpus.formats.encodings import find_declared_encoding, find_unmarked_encoding
from semilla.corpus.formats.plain_text import (
    explain_damage,
    explain_undecodable,
    find_proven_encoding,
    has_c1_bytes,
    list_tried,
    list_variants,
)
from semilla.corpus.formats.unpacked import Source

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class _Failure:
    """A byte that does not fit: its place in ``data``, which begin at ``offset`` in the file."""

    data: bytes
    place: int
    offset: int


def find_stream_encoding(source: Source, *, name: str, encoding: str) -> str:
    """Find the encoding of a text, which is read once or more. Raises like ``plain_text.decode_text``."""
    head = source.read_head()
    unmarked = find_unmarked_encoding(_cut_head(head))
    refuse_other_formats(head, name=name, may_hold_controls=unmarked is not None)
    proven, proof = find_proven_encoding(head, unmarked)
    if proven:
        if failure := _find_failure(source, proven):
            raise explain_damage(proven, failure.offset + failure.place, name=name, proof=proof)
        return proven
    failure = _find_failure(source, "utf-8")
    if failure is None:
        return "utf-8"
    tried = list_tried(head, encoding)
    has_c1 = bool(tried) and any(map(has_c1_bytes, source.read_blocks(BLOCK_BYTES)))
    for candidate in list_variants(tried, has_c1_bytes=has_c1):
        if _find_failure(source, candidate) is None:
            return candidate
    raise explain_undecodable(
        failure.data,
        failure.place,
        name=name,
        tried=tried,
        declared=find_declared_encoding(head),
        offset=failure.offset,
    )


def read_utf8(source: Source, encoding: str) -> Iterator[bytes]:
    """The text as UTF-8, without a byte order mark; ``encoding`` is that of ``find_stream_encoding``."""
    blocks = source.read_blocks(BLOCK_BYTES)
    if encoding != "utf-8":
        blocks = _recode(blocks, encoding)
    yield next(blocks, b"").removeprefix(codecs.BOM_UTF8)
    yield from blocks


def _recode(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _cut_head(head: bytes) -> bytes:
    """The whole lines of the head, so that no character of several bytes is cut; all of it where it has no NULs."""
    return head if b"\0" in head else head[: head.rfind(b"\n") + 1] or head


def _find_failure(source: Source, encoding: str) -> _Failure | None:
    """Decode all of a file, and find the first byte that does not fit."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset = 0
    for block in source.read_blocks(BLOCK_BYTES):
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            return _Failure(error.object, error.start, offset + len(block) - len(error.object))
        offset += len(block)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return _Failure(error.object, error.start, offset - len(error.object))
    return None
