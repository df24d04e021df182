"""Source code: every line as it is, with tabs and indentation."""

from __future__ import annotations

from collections.abc import Iterator

from semilla.corpus.formats.extracted import Extracted, ReadOptions
from semilla.corpus.formats.plain_text import decode_text


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document."""
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    yield Extracted(text, encoding=encoding, layout="verbatim")
