"""MAJOR.MINOR.PATCH of a model, by what changed since the last finished model in its directory.

A new vocabulary raises MAJOR: the same token numbers mean different text, so decoding with the old tokenizer gives
nonsense. A new architecture raises MINOR. Any other change is a retraining of the same network and raises PATCH.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from semilla.configuration.schema import ModelArchitecture
from semilla.configuration.settings import recall_settings
from semilla.records.record import Record

FIRST_VERSION = "1.0.0"
_PATTERN = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


class FinishedModel(Record):
    """A model whose training finished: its version, and what its weights depend on."""

    version: str
    inputs: dict[str, Any]


def choose_version(inputs: Mapping[str, Any], last: FinishedModel | None) -> str:
    """Choose the version of the model trained from ``inputs`` after ``last``; unchanged if nothing changed.

    ``inputs`` are those of the training phase: the tokenizer's SHA-256, and the settings by name; ``start_version`` is
    that of the model it starts from.
    """
    if last is None:
        return raise_patch(inputs["start_version"]) if inputs.get("start_version") else FIRST_VERSION
    known = {**last.inputs, **inputs}
    before, after = recall_settings(last.inputs, known), recall_settings(inputs, known)
    major, minor, _ = parse_version(last.version)
    if before == after:
        return last.version
    if before.get("tokenizer") != after.get("tokenizer"):
        return f"{major + 1}.0.0"
    if any(before.get(name) != after.get(name) for name in ModelArchitecture.model_fields):
        return f"{major}.{minor + 1}.0"
    return raise_patch(last.version)


def raise_patch(version: str) -> str:
    """The version of a model that goes on from ``version`` in a directory of its own."""
    major, minor, patch = parse_version(version)
    return f"{major}.{minor}.{patch + 1}"


def parse_version(text: str) -> tuple[int, int, int]:
    """Parse ``1.0.2``; raises ValueError when the text is not a version."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a model version")
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)
