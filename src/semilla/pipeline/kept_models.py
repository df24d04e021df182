"""Keep the finished model of a directory before another one is trained there (``keep_models``)."""

from __future__ import annotations

from pathlib import Path

from semilla.errors import IntegrityError
from semilla.events import ArtifactRemoved, Note, Warned
from semilla.pipeline.journal import Journal
from semilla.records import archive, names
from semilla.records.files import remove_directory


def keep_finished_model(journal: Journal, *, keep: int) -> None:
    """Copy the finished model to the archive before its files change; drop the oldest beyond ``keep``."""
    directory, status = journal.directory, journal.status
    assert status.finished_model
    version = status.finished_model.version
    if not keep:
        journal.tell(Note(f"Model {version} is not kept: keep_models is 0."))
    elif not archive.is_kept(directory, status):
        parts = archive.name_parts(directory, status)
        journal.list_artifacts(f"{names.MODELS}/{version}/{name}" for name in parts)
        try:
            archive.keep_model(directory, status)
            journal.tell(Note(f"The finished model {version} is kept in {names.MODELS}/{version}."))
        except IntegrityError as error:
            journal.tell(Warned(f"model {version} is not kept: {error}", "integrity"))
    for folder in archive.list_surplus(directory, status, keep=keep):
        drop_model(journal, folder)
        journal.tell(Note(f"The earlier model {folder.name} was removed: keep_models is {keep}."))


def drop_duplicate(journal: Journal) -> None:
    """Remove the copy of a model that was not replaced after all: the directory itself still holds it."""
    folder = journal.directory / names.MODELS / journal.status.model_version
    if folder in archive.list_surplus(journal.directory, journal.status, keep=0):
        drop_model(journal, folder)


def drop_model(journal: Journal, folder: Path) -> None:
    for path in archive.drop_model(folder):
        journal.tell(ArtifactRemoved(path))
    remove_directory(folder.parent)
