"""CSV and TSV: a document for each row. The delimiter is found; the first row names the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, TextIO

from semilla.corpus.formats.columns import read_rows
from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.plain_text import decode_text

_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 1 << 16


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read a document for each row. Raises UnreadableError for a table without text."""
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    yield from _read(io.StringIO(text, newline=""), options, name=name, encoding=encoding)


def read_stream(file: BinaryIO, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read a table in UTF-8 of any size, a row at a time; raises like ``read``."""
    yield from _read(io.TextIOWrapper(file, "utf-8", newline=""), options, name=name, encoding="utf-8")


def _read(file: TextIO, options: ReadOptions, *, name: str, encoding: str) -> Iterator[Extracted]:
    csv.field_size_limit(MAX_FILE_BYTES)
    head = file.readline()
    delimiter = "\t" if name.lower().endswith(".tsv") else _find_delimiter(head)
    try:
        rows = csv.DictReader(chain([head], file), delimiter=delimiter, restkey="")
        yield from read_rows(rows, options, name=name, encoding=encoding)
    except csv.Error as error:
        raise UnreadableError(f"{name} is not a CSV table: {error}", reason="unreadable") from error


def _find_delimiter(line: str) -> str:
    """The delimiter that stands most often in the first line, outside quotes."""
    outside = "".join(line[:_SAMPLE_CHARACTERS].split('"')[::2])
    return max(_DELIMITERS, key=lambda one: (outside.count(one), one == ","))
