"""Removes artifacts of a run, and reports each."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from semilla.events import ArtifactRemoved, Progress
from semilla.records.files import remove_files


def remove_artifacts(paths: Collection[Path], progress: Progress) -> None:
    """Durably remove files, then report each."""
    remove_files(paths)
    for path in paths:
        progress(ArtifactRemoved(path))
