"""CSV and TSV: a document for each row. The delimiter is found; the first row names the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from semilla.corpus.formats.columns import read_rows
from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.plain_text import decode_text

_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 1 << 16


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read a document for each row. Raises UnreadableError for a table without text."""
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    csv.field_size_limit(MAX_FILE_BYTES)
    delimiter = "\t" if name.lower().endswith(".tsv") else _find_delimiter(text)
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
        yield from read_rows(rows, options, name=name, encoding=encoding)
    except csv.Error as error:
        raise UnreadableError(f"{name} is not a CSV table: {error}", reason="unreadable") from error


def _find_delimiter(text: str) -> str:
    """The delimiter that stands most often in the first line, outside quotes."""
    head = next(csv.reader([text[:_SAMPLE_CHARACTERS].partition("\n")[0]], delimiter="\0"), [""])
    line = text[:_SAMPLE_CHARACTERS].partition("\n")[0] if head else ""
    outside = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=lambda one: (outside.count(one), one == ","))
