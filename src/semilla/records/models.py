"""Earlier finished models of a directory, each whole in ``models/X.Y.Z/`` or not there.

Such a folder is laid out like a run's: text is generated from it, and it can be reported on and compared. The corpus
and the checkpoints are not in it. The model is copied there before anything of it is changed, and its own files stay
until a training replaces them, so there is no instant at which a kill could leave it in neither place.
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
"""What a report on an earlier model adds to its folder."""


@dataclass(frozen=True)
class EarlierModel:
    """A model that was kept when another training began; ``status`` is its run's, as it was then."""

    version: str
    directory: Path
    status: PipelineStatus

    @property
    def bits_per_byte(self) -> float | None:
        """Of its best epoch, over all held-out text; None where it was not validated."""
        results = self.status.validation_results
        return results.bits_per_byte.get("all") if results else None

    @property
    def trained_at(self) -> str:
        """When its training ended, in ISO 8601."""
        return self.status.phase_records["model_training"].finished_at

    def list_parts(self) -> list[str]:
        """Its files, and those that may join them, relative to the run's directory."""
        return [f"{names.MODELS}/{self.version}/{name}" for name in name_parts(self.directory, self.status)]


def list_models(directory: Path, *, except_for: str | None = None) -> list[EarlierModel]:
    """The earlier models of a run's directory, the newest first; a folder that does not verify is none."""
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
    """Every file of the finished model that is kept, and those that may join it, relative to its folder."""
    folders = [f"{names.BUNDLE}/{path.name}" for path in sorted((directory / names.BUNDLE).glob("[!.]*"))]
    recorded = [artifact.path for artifact in _list_recorded(status)]
    return list(dict.fromkeys([*recorded, *folders, *_RECORDS, *_LATER]))


def measure_model(directory: Path, status: PipelineStatus) -> int:
    """Bytes that keeping the finished model takes; 0 when it is kept already."""
    if _locate(directory, status).is_dir():
        return 0
    paths = [directory / name for name in name_parts(directory, status)]
    return sum(path.stat().st_size for path in paths if path.is_file())


def is_kept(directory: Path, status: PipelineStatus) -> bool:
    """Tell whether the finished model is kept already; raises InvalidConfigError when its folder is somebody else's."""
    folder = _locate(directory, status)
    if not folder.exists():
        return False
    trained = status.phase_records["model_training"].list_artifacts()
    if all(files.is_intact(artifact, root=folder) for artifact in trained):
        return True
    if (folder / names.STATUS).relative_to(directory).as_posix() not in status.artifacts_created:
        raise InvalidConfigError(
            f"{folder} is in the way of an earlier model, and no run put it there. Move it away, or say "
            "--keep-models 0",
            kept="it, and the finished model",
        )
    return False


def keep_model(directory: Path, status: PipelineStatus) -> None:
    """Copy the finished model to its folder; raises IntegrityError when its files are not what was recorded."""
    folder = _locate(directory, status)
    with stage_folder(folder) as staged:
        for name in name_parts(directory, status):
            if (directory / name).is_file() and name != names.LOCK:
                files.make_directory((staged / name).parent)
                files.copy_file(directory / name, staged / name)
        for artifact in _list_recorded(status):
            files.verify_artifact(artifact, root=staged)


def list_surplus(directory: Path, status: PipelineStatus, *, keep: int) -> list[Path]:
    """The folders of earlier models beyond the newest ``keep``; none that holds a file no run put there."""
    ours = set(status.artifacts_created)
    files_of = {
        folder: {path.relative_to(directory).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in _list_folders(directory)[keep:]
    }
    return [folder for folder, found in files_of.items() if found <= ours]


def drop_model(folder: Path) -> list[Path]:
    """Remove an earlier model, all of it at once, and return the files it had."""
    removed = [path for path in folder.rglob("*") if path.is_file()]
    remove_folder(folder)
    return removed


def _locate(directory: Path, status: PipelineStatus) -> Path:
    assert status.finished_model
    return directory / names.MODELS / status.finished_model.version


def _list_folders(directory: Path) -> list[Path]:
    found = [
        path for path in (directory / names.MODELS).glob("*.*.*") if path.is_dir() and _is_version(path.name)
    ]
    return sorted(found, key=lambda path: parse_version(path.name), reverse=True)


def _is_version(name: str) -> bool:
    try:
        parse_version(name)
    except ValueError:
        return False
    return True


def _list_recorded(status: PipelineStatus) -> list[Artifact]:
    """What the training left, and its tokenizer unless another has taken its place; the bundle has its own hashes."""
    trained = status.phase_records["model_training"].list_artifacts()
    tokenizer = status.phase_records.get("tokenizer_training")
    learned = tokenizer.list_artifacts() if tokenizer else []
    assert status.finished_model
    is_its_own = status.finished_model.inputs.get("tokenizer") in {artifact.sha256 for artifact in learned}
    return [*trained, *(learned if is_its_own else [])]
