"""Folders that are complete under their final name, or absent; what others put there is never touched."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.errors import InvalidConfigError, SemillaError, from_os_error
from semilla.records import files
from semilla.records.files import Artifact

STAGED_SUFFIX = ".folder"
"""Not that of temporary files, which are removed as files."""


@contextmanager
def stage_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that takes the name ``path``, and the place of what stood there, when all in it is written.

    On any exception ``path`` stays as it was. Raises the error tree's translation of any ``OSError``. Between taking
    the name from the old folder and giving it to the new one there is an instant without either: a process killed
    just then leaves no folder, never half of one.
    """
    staged, old = _name_temporary(path), _name_temporary(path)
    try:
        _make_parents(path)
        _collect_garbage(path)
        files.make_directory(staged)
        yield staged
        _sync_folder(staged)
        if path.exists():
            files.rename(path, old)
        files.rename(staged, path)
    except OSError as error:
        raise from_os_error(error, error.filename or path) from error
    finally:
        for folder in (staged, old):
            _remove_folder(folder)


def seal_folder(folder: Path, *, name: str, description: dict[str, Any]) -> list[Artifact]:
    """Write ``description`` to ``name``, with the SHA-256 and size of every file of ``folder``, and return those."""
    artifacts = [files.describe_artifact(path, root=folder) for path in sorted(folder.iterdir())]
    files.write_json(folder / name, {**description, "files": [one.as_json() for one in artifacts]})
    return artifacts


def check_replaceable(path: Path, *, name: str, **expected: object) -> None:
    """Raise InvalidConfigError unless ``path`` is absent, an empty folder, or a sealed folder as it was left.

    ``expected`` are entries its description must have: a folder of another kind is not replaced either.
    """
    if not path.exists() and not path.is_symlink():
        return
    reason = _find_objection(path, name, expected) if path.is_dir() else "it is not a folder"
    if reason:
        raise InvalidConfigError(f"{path} is not replaced: {reason}. Name another folder with --output")


def _find_objection(path: Path, name: str, expected: dict[str, object]) -> str | None:
    found = sorted(path.iterdir())
    if not found:
        return None
    try:
        description = files.read_json(path / name)
        listed = {entry["path"]: Artifact(**entry) for entry in description["files"]}
    except (SemillaError, KeyError, TypeError):
        return f"it holds files, and no {name} that says they may go"
    if different := [key for key, value in expected.items() if description.get(key) != value]:
        return f"it holds something else: its {different[0]} is {description.get(different[0])!r}"
    for one in found:
        if one.name != name and one.name not in listed:
            return f"{one.name} in it is not from an export"
        if one.name in listed and not files.is_intact(listed[one.name], root=path):
            return f"{one.name} in it was changed since"
    return None


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it; a process killed on the way leaves it under its name, or not at all."""
    old = _name_temporary(path)
    files.rename(path, old)
    _remove_folder(old)


def collect_folders(directory: Path) -> None:
    """Remove the folders that killed writers left in ``directory``; call it only while nobody else writes there."""
    for one in directory.glob(f"{files.TEMP_PREFIX}*{STAGED_SUFFIX}"):
        _remove_folder(one)


def _sync_folder(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir():
            _sync_folder(one)
        else:
            files.sync_file(one)
    files.sync_directory(folder)


def _make_parents(path: Path) -> None:
    for parent in reversed(path.parents):
        if not parent.is_dir():
            files.make_directory(parent)


def _name_temporary(path: Path) -> Path:
    return path.with_name(f"{files.TEMP_PREFIX}{path.name}-{secrets.token_hex(8)}{STAGED_SUFFIX}")


def _collect_garbage(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it."""
    for one in path.parent.iterdir():
        if one.name.startswith(f"{files.TEMP_PREFIX}{path.name}-") and one.name.endswith(STAGED_SUFFIX):
            _remove_folder(one)


def _remove_folder(folder: Path) -> None:
    if folder.is_dir():
        for one in folder.iterdir():
            if one.is_dir() and not one.is_symlink():
                _remove_folder(one)
            else:
                files.remove_file(one)
        files.remove_directory(folder)
