"""The five phases, one thin module each.

Every module offers the same functions::

    def read_inputs(config, records) -> dict     # what the phase's result depends on; unchanged inputs: reused
    def run(config, *, progress) -> PhaseRecord  # do the work, leave artifacts in the output directory
    def adopt(config) -> PhaseRecord             # take what is there as the result (phases that can be skipped)

``records`` maps the earlier phases to what they left, so that inputs can name artifacts by their SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from semilla.errors import PHASES
from semilla.records.files import Artifact

__all__ = ["PHASES", "PhaseRecord", "get_sha256"]


@dataclass
class PhaseRecord:
    """What a phase did.

    ``artifacts`` are the files it left, ``details`` its figures as JSON values, ``warnings`` what the user should
    look into.
    """

    phase: str
    artifacts: list[Artifact] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def get_sha256(records: Mapping[str, PhaseRecord], phase: str, path: str) -> str | None:
    """SHA-256 of an artifact an earlier phase left, None when it left no such file."""
    if phase not in records:
        return None
    return next((artifact.sha256 for artifact in records[phase].artifacts if artifact.path == path), None)
