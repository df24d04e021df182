"""MAJOR.MINOR.PATCH of a model, by what changed since the last finished model of its directory.

Another vocabulary raises MAJOR: its tokens mean something else, even where there are as many, so whoever kept the old
tokenizer would read nonsense. Another architecture raises MINOR; any other change, which is another training of the
same network, PATCH. A model is finished when its training is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from semilla.configuration.schema import ModelArchitecture
from semilla.configuration.settings import recall_settings
from semilla.records.metrics import Record

FIRST_VERSION = "1.0.0"
_PATTERN = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


class FinishedModel(Record):
    """A model whose training came to its end: its version, and what its weights depend on."""

    version: str
    inputs: dict[str, Any]


def choose_version(inputs: Mapping[str, Any], last: FinishedModel | None) -> str:
    """The version of what is trained from ``inputs`` after ``last``, if there was one; the same if nothing changed.

    ``inputs`` are those of the training phase: the tokenizer by its SHA-256, the settings by their names.
    """
    if last is None:
        return FIRST_VERSION
    known = {**last.inputs, **inputs}
    before, after = recall_settings(last.inputs, known), recall_settings(inputs, known)
    major, minor, patch = parse_version(last.version)
    if before == after:
        return last.version
    if before.get("tokenizer") != after.get("tokenizer"):
        return f"{major + 1}.0.0"
    if any(before.get(name) != after.get(name) for name in ModelArchitecture.model_fields):
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def parse_version(text: str) -> tuple[int, int, int]:
    """Read ``1.0.2``; raises ValueError when it is no version."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no version of a model")
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)
