"""Reads for the report what a run left in its directory: finished, failed, interrupted or still running."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import CorpusManifest, read_manifest
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.errors import IncompatibleError, IntegrityError, SemillaError
from semilla.records import names
from semilla.records.archive import EarlierModel, list_models
from semilla.records.files import read_bytes
from semilla.records.metrics import EpochMetrics, TrainingMetrics, read_metrics
from semilla.records.results import ValidationResults
from semilla.records.status import PipelineStatus

Record = TypeVar("Record")

LONGEST_PIECES = 24
_WORD_START = "▁"


@dataclass(frozen=True)
class RecordedRun:
    """A run: its status, and the rest as far as it got. ``damaged`` lists what could not be read, and why."""

    directory: Path
    config: PipelineConfiguration
    status: PipelineStatus
    metrics: TrainingMetrics | None
    manifest: CorpusManifest | None
    damaged: tuple[str, ...]
    earlier: tuple[EarlierModel, ...] = ()
    """Models that were trained in the same directory before, newest first."""

    @property
    def name(self) -> str:
        return self.directory.resolve().name

    @property
    def epochs(self) -> list[EpochMetrics]:
        return self.metrics.epoch_history if self.metrics else []

    @property
    def results(self) -> ValidationResults | None:
        return self.status.validation_results

    @property
    def best_epoch(self) -> EpochMetrics | None:
        """The epoch with the lowest validation loss so far."""
        return min(self.epochs, key=lambda epoch: epoch.validation_loss, default=None)

    @property
    def languages(self) -> list[str]:
        """The languages of the text, in the order of the samples."""
        documents = self.manifest.documents if self.manifest else []
        return list(dict.fromkeys(document.language for document in documents))

    def get_details(self, phase: str) -> Mapping[str, Any]:
        """The details that a finished phase recorded; else nothing."""
        entry = self.status.phase_records.get(phase)
        return entry.details if entry else {}


def read_run(directory: Path, *, config: PipelineConfiguration, status: PipelineStatus) -> RecordedRun:
    """Read a run. A file that is missing or damaged leaves out its part of the report."""
    damaged: list[str] = []

    def read(name: str, reader: Callable[[Path], Record], path: Path) -> Record | None:
        try:
            return reader(path) if (directory / name).is_file() else None
        except (IntegrityError, IncompatibleError) as error:
            damaged.append(error.message)
            return None

    metrics = read(names.METRICS, read_metrics, directory / names.METRICS)
    manifest = read(names.CORPUS_MANIFEST, read_manifest, directory)
    earlier = tuple(list_models(directory, except_for=status.model_version))
    return RecordedRun(directory, config, status, metrics, manifest, tuple(damaged), earlier)


def list_pieces(run: RecordedRun) -> list[str]:
    """The pieces of the vocabulary by their ids; none if it cannot be read."""
    path = find_tokenizer(run.config, run.directory)[1]
    lines: list[str] = []
    with suppress(SemillaError, ValueError):
        lines = read_bytes(path).decode("utf-8").split("\n")
    return [line.partition("\t")[0] for line in lines if line]


def list_longest_pieces(run: RecordedRun, *, count: int = LONGEST_PIECES) -> list[str]:
    """The longest words of the vocabulary; none if it cannot be read."""
    pieces = [piece.replace(_WORD_START, " ") for piece in list_pieces(run)]
    words = {piece.strip() for piece in pieces if piece.strip().isalpha()}
    return sorted(words, key=lambda word: (-len(word), word))[:count]
