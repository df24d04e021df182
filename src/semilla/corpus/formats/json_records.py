"""JSON and JSON Lines: a document for each object, from the column of its text."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from semilla.corpus.formats.cells import find_text
from semilla.corpus.formats.columns import read_rows
from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.plain_text import decode_text


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read a document for each object, or for each string of a list. Raises UnreadableError for any other JSON."""
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    is_lines = name.lower().endswith((".jsonl", ".ndjson"))
    records = _read_lines(text.split("\n"), name=name) if is_lines else _find_records(_parse(text, name=name))
    yield from read_rows(map(_as_row, records), options, name=name, encoding=encoding)


def read_stream(file: BinaryIO, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read JSON Lines in UTF-8 of any size, a line at a time; raises like ``read``."""
    lines = io.TextIOWrapper(file, "utf-8", newline="\n")
    yield from read_rows(map(_as_row, _read_lines(lines, name=name)), options, name=name)


def _read_lines(lines: Iterable[str], *, name: str) -> Iterator[Any]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parse(line, name=f"line {number:,} of {name}")


def _parse(text: str, *, name: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise UnreadableError(f"{name} is nested too deeply", reason="unreadable") from None
    except ValueError as error:
        raise UnreadableError(f"{name} is not valid JSON: {error}", reason="unreadable") from error


def _find_records(value: Any) -> list[Any]:
    """The list of objects that a file is, or the one with most text that it holds; else the file is one object."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        lists = [one for one in value.values() if isinstance(one, list) and one and isinstance(one[0], dict)]
        return max(lists, key=lambda one: len(find_text(one))) if lists else [value]
    return [value]


def _as_row(record: Any) -> dict[str, Any]:
    return record if isinstance(record, dict) else {"text": record}
