"""What a run left in its directory, read for the report: finished, failed, interrupted or still running."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import CorpusManifest, read_manifest
from semilla.errors import IncompatibleError, IntegrityError
from semilla.records import names
from semilla.records.archive import EarlierModel, list_models
from semilla.records.metrics import EpochMetrics, TrainingMetrics, read_metrics
from semilla.records.results import ValidationResults
from semilla.records.status import PipelineStatus

LONGEST_PIECES = 24
_WORD_START = "▁"


@dataclass(frozen=True)
class RecordedRun:
    """One run: its status always, the rest as far as it got. ``damaged`` tells what could not be read."""

    directory: Path
    config: PipelineConfiguration
    status: PipelineStatus
    metrics: TrainingMetrics | None
    manifest: CorpusManifest | None
    damaged: tuple[str, ...]
    earlier: tuple[EarlierModel, ...] = ()
    """Models that were trained in the directory before, the newest first."""

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
        """Languages of the text, in the order in which samples are drawn."""
        documents = self.manifest.documents if self.manifest else []
        return list(dict.fromkeys(document.language for document in documents))

    def get_details(self, phase: str) -> Mapping[str, Any]:
        """What a finished phase noted of itself, else nothing."""
        entry = self.status.phase_records.get(phase)
        return entry.details if entry else {}


def read_run(directory: Path, *, config: PipelineConfiguration, status: PipelineStatus) -> RecordedRun:
    """Gather what stands in ``directory``; a file that is missing or damaged leaves its part of the report out."""
    metrics: TrainingMetrics | None = None
    manifest: CorpusManifest | None = None
    damaged: list[str] = []
    try:
        metrics = read_metrics(directory / names.METRICS) if (directory / names.METRICS).is_file() else None
    except IntegrityError as error:
        damaged.append(error.message)
    try:
        manifest = read_manifest(directory) if (directory / names.CORPUS_MANIFEST).is_file() else None
    except (IntegrityError, IncompatibleError) as error:
        damaged.append(error.message)
    earlier = tuple(list_models(directory, except_for=status.model_version))
    return RecordedRun(directory, config, status, metrics, manifest, tuple(damaged), earlier)


def list_longest_pieces(run: RecordedRun, *, count: int = LONGEST_PIECES) -> list[str]:
    """The longest words of the vocabulary, spaces as they are; empty while there is none."""
    path = run.directory / f"{names.name_tokenizer(run.config.tokenizer_vocab_size)}.vocab"
    lines: list[str] = []
    with suppress(OSError, ValueError):
        lines = path.read_text(encoding="utf-8").splitlines()
    pieces = [line.partition("\t")[0].replace(_WORD_START, " ") for line in lines]
    words = {piece.strip() for piece in pieces if piece.strip().isalpha()}
    return sorted(words, key=lambda word: (-len(word), word))[:count]
