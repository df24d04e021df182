"""Where trials are made: the text, the undisturbed reference run, and a fresh directory for each trial."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from torture.forks import ForkedRun, start_run
from torture.sabotage import SABOTAGES
from torture.verdict import Reference, compare, describe_reference, plant_foreign_files
from torture.workload import make_config, write_texts

Trial = dict[str, Any]
"""What one trial did and found, as JSON values; ``faults`` is empty when all was well."""


class Lab:
    """A folder for trials with the same settings. ``sabotage`` names a defect of every run but the reference."""

    def __init__(self, root: Path, *, sabotage: str = "", **settings: Any) -> None:
        self.root = root
        self.settings = settings
        self.sabotage: Callable[[], object] = SABOTAGES[sabotage] if sabotage else list
        self.text = write_texts(root / "text")
        run = self.start(root / "reference", prepare_child=list)
        if run.wait() != 0:
            raise RuntimeError(f"the reference run failed ({run.status}): {run.error}")
        self.durations_s = run.phase_took_s
        self.reference: Reference = describe_reference(root / "reference", text=self.text)

    def configure(self, directory: Path) -> PipelineConfiguration:
        return make_config(directory, text=self.text, **self.settings)

    def start(
        self, directory: Path, *, prepare_child: Callable[[], object] | None = None, fuse: int | None = None
    ) -> ForkedRun:
        """Start a run in ``directory``; its process first plants the defect, or does what ``prepare_child`` says."""
        return start_run(self.configure(directory), prepare_child=prepare_child or self.sabotage, fuse=fuse)

    def finish(self, directory: Path, *, prepare_child: Callable[[], object] | None = None) -> list[str]:
        """Let a run finish, and compare it with the reference."""
        run = self.start(directory, prepare_child=prepare_child)
        if run.wait() != 0:
            return [f"the resumed run ended with {run.status}: {run.error}"]
        return compare(directory, self.reference)

    @contextmanager
    def open_directory(self, name: str) -> Iterator[Path]:
        """A new output directory that also holds foreign files; it is removed afterwards."""
        directory = self.root / name
        shutil.rmtree(directory, ignore_errors=True)
        plant_foreign_files(directory)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
