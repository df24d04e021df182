"""Reads a file that is larger than memory should hold: in pieces, each with some of its documents."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from semilla.corpus.formats import pieces
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import (
    MAX_FILE_BYTES,
    Extracted,
    ReadOptions,
    UnreadableError,
    mend_surrogates,
)
from semilla.corpus.formats.known import MAILBOX, MARKDOWN, PARQUET, PLAIN_TEXT, Format, find_format
from semilla.corpus.formats.reading import FileText, LeftOut, list_documents
from semilla.corpus.formats.recoding import BLOCK_BYTES, find_stream_encoding, read_utf8
from semilla.corpus.formats.unpacked import Source
from semilla.errors import InvalidCorpusError
from semilla.installation import list_missing

Found = FileText | LeftOut


def read_large(
    file: IO[bytes], path: Path, options: ReadOptions, *, name: str, reader: ConfinedReader
) -> Iterator[Found] | None:
    """The pieces of a large file at ``path``, open as ``file``; None for one that is small or must be read as a whole.

    The documents are those that it would have as a whole, but for a text, which is cut into a document for each piece.
    What cannot be read of it is left out with its reason.
    """
    try:
        source = Source(file, name=name)
        head = source.read_head()
        kind = find_format(source.name, head)
        is_possible = kind.reads_large and not list_missing(kind.packages)
        if kind is MAILBOX:
            is_possible = head.startswith(b"From ")
        if not is_possible or (source.is_packed and kind.reads_large == "path"):
            return None
        is_large = source.is_larger(pieces.LARGE_FILE_BYTES)
    except UnreadableError:  # reading it as a whole says why
        return None
    return _read(source, path, options, kind, reader) if is_large else None


def estimate_text_bytes(file: IO[bytes], path: Path, options: ReadOptions) -> int:
    """About how much text an open file has when it is unpacked; its own size if that is not known."""
    size_bytes = os.fstat(file.fileno()).st_size
    try:
        source = Source(file, name=path.name)
        if find_format(source.name, source.read_head()) is not PARQUET:
            return source.estimate_bytes()
        with ConfinedReader() as reader:
            found = reader.read_path(
                path, options, module="semilla.corpus.formats.parquet_size", name=path.name
            )
            return int(next(found).text)
    except (UnreadableError, StopIteration, ValueError):
        return size_bytes


def _read(
    source: Source, path: Path, options: ReadOptions, kind: Format, reader: ConfinedReader
) -> Iterator[Found]:
    name, module = source.name, f"semilla.corpus.formats.{kind.module}"
    try:
        if kind is MAILBOX:
            yield from _read_mail(source, options, reader)
        elif kind.reads_large == "path":
            yield from _gather(reader.read_path(path, options, module=module, name=name), kind, name=name)
        else:
            encoding = find_stream_encoding(source, name=name, encoding=options.encoding)
            readers = {PLAIN_TEXT: _read_text, MARKDOWN: _read_markdown}
            if kind in readers:
                found = readers[kind](source, encoding, reader)
            else:
                rows = reader.read_stream(read_utf8(source, encoding), options, module=module, name=name)
                found = _gather(rows, kind, name=name)
            yield from (_note_encoding(one, encoding) for one in found)
    except InvalidCorpusError as error:
        yield LeftOut(name, error)


def _note_encoding(found: Found, encoding: str) -> Found:
    if isinstance(found, LeftOut):
        return found
    return replace(found, documents=tuple(replace(one, encoding=encoding) for one in found.documents))


def _gather(documents: Iterable[Extracted], kind: Format, *, name: str) -> Iterator[FileText]:
    """Texts of many documents each."""
    gathered: list[Extracted] = []
    num_characters = 0
    for document in documents:
        if len(document.text) > MAX_FILE_BYTES:
            raise UnreadableError(
                f"{name} has a row of more than {MAX_FILE_BYTES >> 20} MB", reason="too large"
            )
        gathered.append(mend_surrogates(document))
        num_characters += len(document.text)
        if num_characters >= pieces.PIECE_BYTES:
            yield _describe(gathered, kind, name=name)
            gathered, num_characters = [], 0
    if gathered:
        yield _describe(gathered, kind, name=name)


def _describe(documents: list[Extracted], kind: Format, *, name: str) -> FileText:
    data = "".join(one.text for one in documents).encode()
    return FileText(name, kind.name, len(data), hashlib.sha256(data).hexdigest(), tuple(documents))


def _read_text(source: Source, encoding: str, reader: ConfinedReader) -> Iterator[Found]:  # noqa: ARG001 - as the other
    blocks = read_utf8(source, encoding)
    for piece in pieces.cut(
        blocks, pieces.find_paragraph_end, size_bytes=pieces.PIECE_BYTES, name=source.name
    ):
        if piece.strip():
            yield _describe([Extracted(piece.decode(), layout="auto")], PLAIN_TEXT, name=source.name)


def _read_markdown(source: Source, encoding: str, reader: ConfinedReader) -> Iterator[Found]:
    """The title and the language of the first piece are those of the others."""
    labels = pieces.LinkLabels.find(read_utf8(source, encoding))
    found = pieces.cut(
        read_utf8(source, encoding), pieces.find_block_end, size_bytes=pieces.MARKDOWN_BYTES, name=source.name
    )
    title, language = None, None
    for number, piece in enumerate(found):
        data = labels.define_in(piece, is_first=not number)
        for document in _read_piece(data, ReadOptions(), MARKDOWN, source.name, reader, number=number + 1):
            if isinstance(document, FileText):
                first = document.documents[0]
                title, language = title or first.title, language or first.language
                head = replace(first, title=title, language=language)
                yield replace(document, documents=(head,))
            else:
                yield document


def _read_mail(source: Source, options: ReadOptions, reader: ConfinedReader) -> Iterator[Found]:
    blocks = source.read_blocks(BLOCK_BYTES)
    found = pieces.cut(blocks, pieces.find_message_end, size_bytes=pieces.PIECE_BYTES, name=source.name)
    for number, piece in enumerate(found, start=1):
        yield from _read_piece(piece, options, MAILBOX, source.name, reader, number=number)


def _read_piece(
    data: bytes, options: ReadOptions, kind: Format, name: str, reader: ConfinedReader, *, number: int
) -> Iterator[Found]:
    """A piece as a file of its own. One without text is passed over, and one that cannot be read is left out."""
    try:
        documents = list_documents(data, options, kind, name, reader)
    except InvalidCorpusError as error:
        left_out = LeftOut(f"{name}, part {number:,}", error)
        if left_out.reason != "empty":
            yield left_out
    else:
        yield FileText(name, kind.name, len(data), hashlib.sha256(data).hexdigest(), documents)
