"""Parquet: a document for each row, read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from semilla.corpus.formats.columns import describe_others, find_text_column, read_rows
from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError

_BATCH_ROWS = 1000
_BUFFER_BYTES = 1 << 20
"""Of each column, read at a time."""


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read a document for each row. Raises UnreadableError for a damaged file or one without text."""
    # Imported late, as in every reader: only files of this format need it.
    import pyarrow  # noqa: PLC0415

    yield from read_path(pyarrow.BufferReader(data), options, name=name)


def read_path(source: Any, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read a file of any size, a path or a file of pyarrow; raises like ``read``."""
    import pyarrow  # noqa: PLC0415
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415

    try:
        with ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            sample = next(_list_rows(file, None), [])
            text_column = find_text_column(sample, options, name=name)
            title = options.title_column or "title"
            wanted = {text_column.partition(".")[0], title.partition(".")[0]}
            columns = [one for one in file.schema_arrow.names if one in wanted] or None
            chosen = ReadOptions(text_column=text_column, title_column=options.title_column)
            note = "" if options.text_column else describe_others(sample, text_column, title, name=name)
            rows = (row for batch in _list_rows(file, columns) for row in batch)
            for document in read_rows(rows, chosen, name=name):
                yield replace(document, note=note)
                note = ""
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise UnreadableError(f"{name} is not a sound Parquet file: {error}", reason="unreadable") from error


def _list_rows(file: Any, columns: list[str] | None) -> Iterator[list[dict[str, Any]]]:
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
        yield batch.to_pylist()
