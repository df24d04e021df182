"""Earlier finished models of a run's directory, each complete in ``models/X.Y.Z/`` or absent.

Such a folder is laid out like a run's directory, without the corpus and the checkpoints: it can generate text, and be
reported on and compared. A model is copied there before any of its files change. Its original files stay until a
training replaces them, so a kill at any instant leaves it complete in at least one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from semilla.errors import InvalidConfigError, SemillaError
from semilla.records import files, names
from semilla.records.files import Artifact
from semilla.records.folders import remove_folder, stage_folder
from semilla.records.status import PipelineStatus, read_status
from semilla.records.versions import parse_version

_RECORDS = (names.STATUS, names.CONFIGURATION, names.METRICS, names.CORPUS_MANIFEST, names.REPORT)
_LATER = (names.REPORT, names.LOCK)
"""Files that a report on an earlier model adds to its folder."""


@dataclass(frozen=True)
class EarlierModel:
    """A model kept when another training began; ``status`` is the status of its run at that time."""

    version: str
    directory: Path
    status: PipelineStatus

    @property
    def bits_per_byte(self) -> float | None:
        """Of its best epoch, over all held-out text; None when it was not validated."""
        results = self.status.validation_results
        return results.bits_per_byte.get("all") if results else None

    @property
    def trained_at(self) -> str:
        """When its training finished, in ISO 8601."""
        return self.status.phase_records["model_training"].finished_at

    def list_parts(self) -> list[str]:
        """All its files, and those a report may add, relative to the run's directory."""
        return [f"{names.MODELS}/{self.version}/{name}" for name in name_parts(self.directory, self.status)]


def list_models(directory: Path, *, except_for: str | None = None) -> list[EarlierModel]:
    """List the earlier models of a run's directory, newest first; folders with a damaged status are left out."""
    found = []
    for folder in _list_folders(directory):
        try:
            status = read_status(folder)
        except SemillaError:
            continue
        if status and folder.name != except_for:
            status.recall_finished_model()
            found.append(EarlierModel(folder.name, folder, status))
    return found


def name_parts(directory: Path, status: PipelineStatus) -> list[str]:
    """Name every file of the finished model to keep, and those a report may add, relative to its folder."""
    folders = [f"{names.BUNDLE}/{path.name}" for path in sorted((directory / names.BUNDLE).glob("[!.]*"))]
    recorded = [artifact.path for artifact in _list_recorded(status)]
    return list(dict.fromkeys([*recorded, *folders, *_RECORDS, *_LATER]))


def measure_model(directory: Path, status: PipelineStatus) -> int:
    """Return how many bytes it takes to keep the finished model; 0 when it is kept already."""
    if _locate(directory, status).is_dir():
        return 0
    paths = [directory / name for name in name_parts(directory, status)]
    return sum(path.stat().st_size for path in paths if path.is_file())


def is_kept(directory: Path, status: PipelineStatus) -> bool:
    """Return whether the finished model is kept already; raises InvalidConfigError if its folder is not ours."""
    folder = _locate(directory, status)
    if not folder.exists():
        return False
    trained = status.phase_records["model_training"].artifacts
    if all(files.is_intact(artifact, root=folder) for artifact in trained):
        return True
    if (folder / names.STATUS).relative_to(directory).as_posix() not in status.artifacts_created:
        raise InvalidConfigError(
            f"{folder} is in the way: the finished model would be kept there, and no run made this folder. "
            "Move it, or use --keep-models 0",
            kept="that folder and the finished model",
        )
    return False


def keep_model(directory: Path, status: PipelineStatus) -> None:
    """Copy the finished model to its folder; raises IntegrityError when its files have changed."""
    folder = _locate(directory, status)
    with stage_folder(folder) as staged:
        for name in name_parts(directory, status):
            if (directory / name).is_file() and name != names.LOCK:
                files.make_directory((staged / name).parent)
                files.copy_file(directory / name, staged / name)
        for artifact in _list_recorded(status):
            files.verify_artifact(artifact, root=staged)


def list_surplus(directory: Path, status: PipelineStatus, *, keep: int) -> list[Path]:
    """List the folders of earlier models beyond the newest ``keep``, except those that hold files of others."""
    ours = set(status.artifacts_created)
    files_of = {
        folder: {path.relative_to(directory).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in _list_folders(directory)[keep:]
    }
    return [folder for folder, found in files_of.items() if found <= ours]


def drop_model(folder: Path) -> list[Path]:
    """Remove an earlier model in one step and return its files."""
    removed = [path for path in folder.rglob("*") if path.is_file()]
    remove_folder(folder)
    return removed


def _locate(directory: Path, status: PipelineStatus) -> Path:
    assert status.finished_model
    return directory / names.MODELS / status.finished_model.version


def _list_folders(directory: Path) -> list[Path]:
    found = [
        path
        for path in (directory / names.MODELS).glob("*.*.*")
        if path.is_dir() and not path.is_symlink() and _is_version(path.name)
    ]
    return sorted(found, key=lambda path: parse_version(path.name), reverse=True)


def _is_version(name: str) -> bool:
    try:
        parse_version(name)
    except ValueError:
        return False
    return True


def _list_recorded(status: PipelineStatus) -> list[Artifact]:
    """Artifacts of the training, and its tokenizer unless it was replaced; the bundle records its own hashes."""
    trained = status.phase_records["model_training"].artifacts
    tokenizer = status.phase_records.get("tokenizer_training")
    learned = tokenizer.artifacts if tokenizer else []
    assert status.finished_model
    is_its_own = status.finished_model.inputs.get("tokenizer") in {artifact.sha256 for artifact in learned}
    return [*trained, *(learned if is_its_own else [])]
