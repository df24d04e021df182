"""The five phases, one thin module each.

Every module offers the same two functions::

    def read_inputs(config, records) -> dict     # what the phase's result depends on; unchanged inputs: reused
    def run(config, *, progress) -> PhaseRecord  # do the work, leave artifacts in the output directory
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from semilla.errors import PHASES
from semilla.records.files import Artifact

__all__ = ["PHASES", "PhaseRecord"]


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
