"""How much text a Parquet file has, by its footer: read where the format is, so the number comes as a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from semilla.corpus.formats.columns import find_text_column
from semilla.corpus.formats.extracted import Extracted, ReadOptions

_SAMPLE_ROWS = 200


def read_path(source: Any, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Yield the bytes of the text column before compression; raises like ``parquet.read_path``, or as pyarrow does."""
    from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - as in every reader

    with ParquetFile(source, pre_buffer=False) as file:
        sample = next(file.iter_batches(batch_size=_SAMPLE_ROWS)).to_pylist()
        column = find_text_column(sample, options, name=name)
        facts = file.metadata
        groups = [facts.row_group(place) for place in range(facts.num_row_groups)]
        chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
        sizes = [
            one.total_uncompressed_size
            for one in chunks
            if f"{column}.".startswith(f"{one.path_in_schema}.")
            or one.path_in_schema.startswith(f"{column}.")
        ]
        yield Extracted(str(sum(sizes)))
