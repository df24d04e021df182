"""Several sources in one setting, a line each, with their weights: ``a.txt=2`` and ``b/``.

The weight is how often an epoch sees the documents of a source.
"""

from __future__ import annotations

import os
import re

from semilla.escape import redact_credentials

MAX_WEIGHT = 100
_WEIGHTED = re.compile(r"(.+)=([1-9][0-9]?|100)")


def split_sources(corpus_source: str) -> list[tuple[str, int]]:
    """List the sources and their weights. A path that exists is never cut, nor is an address with a query."""
    return [_split_weight(line) for line in corpus_source.split("\n")]


def describe_sources(corpus_source: str) -> str:
    """The sources on one line, without credentials."""
    return " + ".join(map(redact_credentials, corpus_source.split("\n")))


def _split_weight(source: str) -> tuple[str, int]:
    found = _WEIGHTED.fullmatch(source)
    is_query = "://" in source and "?" in source
    if found is None or is_query or os.path.lexists(source):
        return source, 1
    return found[1], int(found[2])
