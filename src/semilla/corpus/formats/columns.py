"""Tables of documents: one row each, with the text in one column and perhaps a title in another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError

_TEXT_NAMES = ("text", "texto", "content", "body", "story", "article", "document", "message", "sentence")
_TITLE_NAMES = ("title", "titulo", "título", "headline", "subject", "name")
_SAMPLE_ROWS = 200


def read_rows(
    rows: Iterable[Mapping[str, Any]], options: ReadOptions, *, name: str, encoding: str = "utf-8"
) -> Iterator[Extracted]:
    """Yield a document for each row that has text. Raises UnreadableError when no column has text."""
    rows = iter(rows)
    sample = list(islice(rows, _SAMPLE_ROWS))
    text_column = find_text_column(sample, options, name=name)
    title_column = options.title_column or _find_named(sample, _TITLE_NAMES)
    for row in chain(sample, rows):
        text = pick(row, text_column)
        title = pick(row, title_column) if title_column else None
        if isinstance(text, str) and text.strip():
            yield Extracted(
                text, title=title if isinstance(title, str) else None, encoding=encoding, layout="auto"
            )


def find_text_column(sample: Sequence[Mapping[str, Any]], options: ReadOptions, *, name: str) -> str:
    """The column that was given, else one with a usual name, else the one with the longest texts."""
    columns = list(dict.fromkeys(chain.from_iterable(sample)))
    listed = ", ".join(map(str, columns[:20])) or "none"
    if options.text_column:
        if any(pick(row, options.text_column) is not None for row in sample):
            return options.text_column
        raise UnreadableError(
            f"{name} has no column {options.text_column}; its columns are {listed}", reason="unreadable"
        )
    named = _find_named(sample, _TEXT_NAMES)
    if named:
        return named
    sizes = {one: sum(len(row[one]) for row in sample if isinstance(row.get(one), str)) for one in columns}
    longest = max(sizes, key=lambda one: sizes[one], default=None)
    if longest is None or not sizes[longest]:
        raise UnreadableError(
            f"{name} has no column of text (its columns: {listed}); name one with --text-column",
            reason="unreadable",
        )
    return longest


def pick(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column; ``a.b`` is column b inside column a, unless a column has that very name."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _find_named(sample: Sequence[Mapping[str, Any]], usual: Sequence[str]) -> str:
    """The column with the first of these names that holds text; empty for none."""
    columns = {str(one).lower().strip(): one for one in chain.from_iterable(sample)}
    found = (columns[one] for one in usual if one in columns)
    return next((one for one in found if any(isinstance(row.get(one), str) for row in sample)), "")
