"""What the main job does with the finished model of its directory before another is trained in its place."""

from __future__ import annotations

from pathlib import Path

from semilla.errors import IntegrityError
from semilla.events import ArtifactRemoved, Note, Warned
from semilla.pipeline.journal import Journal
from semilla.records import models, names
from semilla.records.files import remove_directory


def keep_finished_model(journal: Journal, *, keep: int) -> None:
    """Put the finished model aside before anything of it is changed; remove the oldest of more than ``keep``."""
    directory, status = journal.directory, journal.status
    assert status.finished_model
    version = status.finished_model.version
    if not keep:
        journal.tell(Note(f"Model {version} is not kept: keep_models is 0."))
    elif not models.is_kept(directory, status):
        parts = models.name_parts(directory, status)
        journal.list_artifacts(f"{names.MODELS}/{version}/{name}" for name in parts)
        try:
            models.keep_model(directory, status)
            journal.tell(Note(f"Model {version}, which is finished, is kept in {names.MODELS}/{version}."))
        except IntegrityError as error:
            journal.tell(Warned(f"model {version} is not kept: {error}", "integrity"))
    for folder in models.list_surplus(directory, status, keep=keep):
        drop_model(journal, folder)
        journal.tell(Note(f"The earlier model {folder.name} is removed: keep_models is {keep}."))


def forget_kept_model(journal: Journal) -> None:
    """Remove the copy of a model that was not replaced after all: it still stands in the directory itself."""
    folder = journal.directory / names.MODELS / journal.status.model_version
    if folder in models.list_surplus(journal.directory, journal.status, keep=0):
        drop_model(journal, folder)


def drop_model(journal: Journal, folder: Path) -> None:
    for path in models.drop_model(folder):
        journal.tell(ArtifactRemoved(path))
    remove_directory(folder.parent)
