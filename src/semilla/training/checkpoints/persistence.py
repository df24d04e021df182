"""The files of a training and their order: the checkpoint is the commit, and the others are derived from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.events import ArtifactWritten, Progress
from semilla.records import names
from semilla.records.metrics import StoppedEpoch, TrainingMetrics, summarize
from semilla.records.removal import remove_artifacts
from semilla.training.checkpoints.checkpoint import Provenance, list_surplus, save_checkpoint, save_model
from semilla.training.state import RunState


@dataclass
class TrainingFiles:
    """Writes the checkpoints, models and metrics of a training into one directory, and reports each."""

    config: PipelineConfiguration
    run_id: str
    provenance: Provenance
    replaced: list[Path]
    """Checkpoints of earlier trainings. They are removed after the first one of this training."""
    progress: Progress
    saved_at_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.saved_at_s = time.monotonic()

    @property
    def directory(self) -> Path:
        return Path(self.config.output_directory)

    def is_due(self) -> bool:
        """Is it time for a checkpoint? A kill loses at most this interval and the current step."""
        return time.monotonic() - self.saved_at_s >= self.config.checkpoint_seconds

    def save_step(self, state: RunState) -> Path:
        """Save a checkpoint inside an epoch."""
        return self._save(state, names.name_step_checkpoint(state.step))

    def save_epoch(self, state: RunState, *, must_save: bool, is_last: bool) -> None:
        """Save an evaluated epoch: first the checkpoint, then the best model and the metrics."""
        if must_save or is_last or self.is_due() or state.epoch % self.config.checkpoint_every == 0:
            self._save(state, names.name_epoch_checkpoint(state.epoch))
        self.write_results(state, is_last=is_last)

    def write_results(self, state: RunState, *, is_last: bool) -> None:
        """Write models and metrics from ``state``. After a resume this restores files that were lost."""
        if state.best is not None:
            self._save_model(names.BEST_MODEL, state.best.weights, epoch=state.best.epoch)
        if is_last:
            self._save_model(names.FINAL_MODEL, state.model.state_dict(), epoch=state.epoch)
        self._write_metrics(state, is_last=is_last)

    def record_stop(self, state: RunState, figures: Mapping[str, Any]) -> None:
        """Record in the metrics where training stopped, and which figure was NaN or infinite."""
        stopped = StoppedEpoch.describe(epoch_number=state.epoch + 1, **{"step": state.step, **figures})
        self._write_metrics(state, stopped=stopped)

    def _write_metrics(
        self, state: RunState, *, is_last: bool = False, stopped: StoppedEpoch | None = None
    ) -> None:
        total_s = sum(epoch.elapsed_seconds for epoch in state.history)
        metrics = TrainingMetrics(
            run_id=self.run_id,
            epoch_history=state.history,
            final_metrics=summarize(state.history, total_training_time=float(total_s)) if is_last else None,
            stopped=stopped,
        )
        metrics.write(self.directory / names.METRICS)
        self.progress(ArtifactWritten(self.directory / names.METRICS))

    def _save(self, state: RunState, name: str) -> Path:
        path = self.directory / name
        save_checkpoint(path, state, config=self.config, provenance=self.provenance)
        self.progress(ArtifactWritten(path))
        self.saved_at_s = time.monotonic()
        # The new checkpoint has been read back and verified, so older ones may be removed now.
        remove_artifacts([old for old in self.replaced if old != path], self.progress)
        self.replaced = []
        surplus = list_surplus(self.directory, epoch=state.epoch, step=state.step)
        remove_artifacts(surplus, self.progress)
        return path

    def _save_model(self, name: str, weights: dict[str, torch.Tensor], *, epoch: int) -> None:
        path = self.directory / name
        save_model(path, weights, epoch=epoch, config=self.config, provenance=self.provenance)
        self.progress(ArtifactWritten(path))
