"""Tables of documents: one row each, with the text in one column and perhaps a title in another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from semilla.corpus.formats.cells import find_text
from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError

_TEXT_NAMES = (
    *("text", "texto", "content", "body", "story", "article", "document", "message", "sentence"),
    *("messages", "conversations", "conversation", "dialogue", "dialog", "turns"),
)
_TITLE_NAMES = ("title", "titulo", "título", "headline", "subject", "name")
_SAMPLE_ROWS = 200
_TOLD_CHARACTERS, _TOLD_SHARE = 20, 0.1
"""A column that is not read is told if it has so many characters a row, and so many for each of the text."""


def read_rows(
    rows: Iterable[Mapping[str, Any]], options: ReadOptions, *, name: str, encoding: str = "utf-8"
) -> Iterator[Extracted]:
    """Yield a document for each row that has text. Raises UnreadableError when no column has text.

    The first says in its ``note`` which columns of text are not read.
    """
    rows = iter(rows)
    sample = list(islice(rows, _SAMPLE_ROWS))
    text_column = find_text_column(sample, options, name=name)
    title_column = options.title_column or _find_named(sample, _TITLE_NAMES)
    note = "" if options.text_column else describe_others(sample, text_column, title_column, name=name)
    for row in chain(sample, rows):
        text = find_text(pick(row, text_column))
        title = pick(row, title_column) if title_column else None
        if text.strip():
            title = title if isinstance(title, str) else None
            yield Extracted(text, title=title, encoding=encoding, layout="auto", note=note)
            note = ""


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
    sizes = {one: _measure_text(sample, one) for one in columns}
    longest = max(sizes, key=lambda one: sizes[one], default=None)
    if longest is None or not sizes[longest]:
        raise UnreadableError(
            f"{name} has no column of text (its columns: {listed}); name one with --text-column",
            reason="unreadable",
        )
    return longest


def describe_others(
    sample: Sequence[Mapping[str, Any]], text_column: str, title_column: str, *, name: str
) -> str:
    """Name the columns with texts that are not read; empty if there are none."""
    least = max(_TOLD_CHARACTERS * len(sample), _TOLD_SHARE * _measure_text(sample, text_column))
    others = [
        one
        for one in dict.fromkeys(chain.from_iterable(sample))
        if one not in {text_column, title_column} and _measure_text(sample, one, least_words=2) >= least
    ]
    if not others:
        return ""
    return (
        f"The text of {name} is its column {text_column}; not read: {', '.join(map(str, others[:20]))} "
        "(--text-column names another)"
    )


def pick(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column; ``a.b`` is column b inside column a, unless a column has that very name."""
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _measure_text(sample: Sequence[Mapping[str, Any]], column: str, *, least_words: int = 1) -> int:
    """How many characters of text a column has, in cells of so many words: an address or a date has one."""
    texts = (find_text(row.get(column)) for row in sample)
    return sum(len(text) for text in texts if len(text.split(None, least_words)) >= least_words)


def _find_named(sample: Sequence[Mapping[str, Any]], usual: Sequence[str]) -> str:
    """The column with the first of these names that holds text; empty for none."""
    columns = {str(one).lower().strip(): one for one in chain.from_iterable(sample)}
    found = (columns[one] for one in usual if one in columns)
    return next((one for one in found if any(find_text(row.get(one)).strip() for row in sample)), "")
