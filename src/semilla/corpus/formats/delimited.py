"""CSV and TSV: a document for each row. The delimiter is found; the first row names the columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import BinaryIO, TextIO

from semilla.corpus.formats.columns import read_rows
from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.plain_text import decode_text

_DELIMITERS = ",;\t|"
_NO_DELIMITER = "\0"
_SAMPLE_LINES = 200
_NUMBER = re.compile(r"\s*-?\d+(?:[.,]\d+)?\s*")
_MIN_DATA_WORDS = 4
"""Of a name in the first row; a longer one is a text."""
_MAX_UNEVEN_SHARE = 0.2
"""Of rows with more cells than the first: more of them, under names with spaces, are lines of text with commas."""
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
    head = list(islice(file, _SAMPLE_LINES))
    delimiter = "\t" if name.lower().endswith(".tsv") else _find_delimiter("".join(head[:1]))
    try:
        sample = list(_split(head, delimiter))
        num_uneven = sum(len(row) > len(sample[0]) for row in sample)
        are_lines = num_uneven > _MAX_UNEVEN_SHARE * len(sample) and any(
            " " in cell.strip() for cell in sample[0]
        )
        delimiter = _NO_DELIMITER if are_lines else delimiter
        rows = map(
            dict, _name_cells(_split(chain(head, file), delimiter), delimiter, has_names=not are_lines)
        )
        note = ""
        if num_uneven and not are_lines:
            note = (
                f"{num_uneven:,} of the first {len(sample):,} rows of {name} have more cells than it has columns; "
                "the last column has the rest"
            )
        for document in read_rows(rows, options, name=name, encoding=encoding):
            yield replace(document, note="; ".join(filter(None, (document.note, note)))) if note else document
            note = ""
    except csv.Error as error:
        raise UnreadableError(f"{name} is not a CSV table: {error}", reason="unreadable") from error


def _split(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    return (row for row in csv.reader(lines, delimiter=delimiter) if row)


def _name_cells(
    rows: Iterator[list[str]], delimiter: str, *, has_names: bool
) -> Iterator[Iterable[tuple[str, str]]]:
    """Yield each row as pairs of name and cell. What is behind the last column belongs to it.

    The first row is a row too if it does not look like names: a text or a number is in it.
    """
    header = next(rows, [])
    is_data = not has_names or any(
        _NUMBER.fullmatch(cell) or len(cell.split()) >= _MIN_DATA_WORDS for cell in header
    )
    last = len(header) - 1
    for row in chain([header] if is_data else [], rows):
        yield zip(header, [*row[:last], delimiter.join(row[last:])], strict=False)


def _find_delimiter(line: str) -> str:
    """The delimiter that stands most often in the first line, outside quotes; none in a table of one column."""
    outside = "".join(line[:_SAMPLE_CHARACTERS].split('"')[::2])
    if not any(one in outside for one in _DELIMITERS):
        return _NO_DELIMITER
    return max(_DELIMITERS, key=lambda one: (outside.count(one), one == ","))
