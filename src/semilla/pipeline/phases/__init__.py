"""The five phases, one thin module each.

Every module offers the same functions::

    def read_inputs(config, records) -> dict     # what the result depends on; unchanged inputs: the result is reused
    def run(config, *, progress) -> PhaseRecord  # do the work and leave artifacts in the output directory
    def adopt(config) -> PhaseRecord             # use existing artifacts as the result (phases that can be skipped)

``records`` maps each earlier phase to its result, so that inputs can name artifacts by their SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from threading import Thread
from types import ModuleType
from typing import Any

from semilla.errors import Phase
from semilla.records.files import Artifact
from semilla.system.temporary import import_compiler


@dataclass
class PhaseRecord:
    """The result of a phase: its artifacts, figures as JSON values, and warnings for the user."""

    phase: str
    artifacts: list[Artifact] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def load_phase(phase: Phase) -> ModuleType:
    """Import a phase's module; heavy packages are loaded only by the phases that run."""
    return import_module(f"semilla.pipeline.phases.{phase}")


@contextmanager
def load_meanwhile(phase: Phase) -> Iterator[None]:
    """Import another phase's module in a thread meanwhile, and what torch imports for its first optimizer.

    What cannot be imported is an error of that phase.
    """

    def load() -> None:
        with suppress(Exception):
            load_phase(phase)
            import_compiler()

    thread = Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def get_sha256(records: Mapping[str, PhaseRecord], phase: str, suffix: str) -> str | None:
    """Return the SHA-256 of an earlier phase's artifact with this suffix, or None when it left no such file."""
    if phase not in records:
        return None
    found = (one.sha256 for one in records[phase].artifacts if one.path.endswith(suffix))
    return next(found, None)


def identify_corpus(records: Mapping[str, PhaseRecord]) -> str | None:
    """Identify the text and what of it is held out: one hash of both, or the text's where the split has none."""
    sha256 = get_sha256(records, "corpus_download", ".txt")
    split = records["corpus_download"].details.get("split") if sha256 else None
    return hashlib.sha256(f"{sha256} {split}".encode()).hexdigest() if split else sha256
