"""Folders that are complete under their final name, or absent. Files of others are never touched."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.errors import InvalidConfigError, SemillaError, from_os_error
from semilla.formatting import quote
from semilla.records import files
from semilla.records.files import Artifact

STAGED_SUFFIX = ".folder"
"""Differs from the suffix of temporary files, which are removed as files."""


@contextmanager
def stage_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder. Once it is filled and synced, it takes the name ``path`` and replaces what was there.

    On any exception ``path`` stays as it was. For an instant between two renames neither folder has the name: a
    process killed there leaves no folder, but never half of one.
    """
    staged, old = _name_temporary(path), _name_temporary(path)
    try:
        make_directories(path.parent)
        for leftover in path.parent.glob(f"{files.TEMP_PREFIX}*{STAGED_SUFFIX}"):
            if leftover.name.startswith(f"{files.TEMP_PREFIX}{path.name}-"):
                files.remove_tree(leftover)
        files.make_directory(staged)
        yield staged
        _sync_tree(staged)
        if os.path.lexists(path):
            files.rename(path, old)
        files.rename(staged, path)
    except OSError as error:
        raise from_os_error(error, error.filename or path) from error
    finally:
        for folder in (staged, old):
            files.remove_tree(folder)


def make_directories(directory: Path) -> list[Path]:
    """Durably create a directory and its missing parents; returns the new ones, outermost first.

    Raises InvalidConfigError when a file, a device or a link that leads nowhere has one of the names.
    """
    folders = [directory, *directory.parents]
    in_the_way = [folder for folder in folders if os.path.lexists(folder) and not is_directory(folder)]
    if in_the_way:
        cause = f"{in_the_way[0]} is in the way: it is not a folder"
        raise InvalidConfigError(cause, next_command=f"ls -ld {quote(in_the_way[0])}")
    missing = [folder for folder in reversed(folders) if not os.path.lexists(folder)]
    for folder in missing:
        files.make_directory(folder)
    return missing


def seal_folder(folder: Path, *, name: str, description: dict[str, Any]) -> list[Artifact]:
    """Write ``description``, with the SHA-256 and size of every file in ``folder``, to ``name``; return the files."""
    artifacts = [files.describe_artifact(path, root=folder) for path in sorted(folder.iterdir())]
    files.write_json(folder / name, {**description, "files": [one.as_json() for one in artifacts]})
    return artifacts


def check_replaceable(path: Path, *, name: str, **expected: object) -> None:
    """Raise InvalidConfigError unless ``path`` is absent, an empty folder, or an unchanged sealed folder.

    ``expected`` are entries its description must have, so that a folder of another kind is not replaced.
    """
    if not os.path.lexists(path):
        return
    is_folder = path.is_dir() and not path.is_symlink()
    reason = _find_objection(path, name, expected) if is_folder else "it is not a folder"
    if reason:
        raise InvalidConfigError(f"{path} is not replaced: {reason}. Choose another folder with --output")


def _find_objection(path: Path, name: str, expected: dict[str, object]) -> str | None:
    found = sorted(path.iterdir())
    if not found:
        return None
    try:
        description = files.read_json(path / name)
        listed = {entry["path"]: Artifact(**entry) for entry in description["files"]}
    except (SemillaError, KeyError, TypeError):
        return f"it holds files but no {name} that lists them as an export's"
    if different := [key for key, value in expected.items() if description.get(key) != value]:
        return f"it holds something else: its {different[0]} is {description.get(different[0])!r}"
    for one in found:
        if one.name != name and one.name not in listed:
            return f"it contains {one.name}, which is not from an export"
        if one.name in listed and not files.is_intact(listed[one.name], root=path):
            return f"{one.name} in it has changed since the export"
    return None


def remove_folder(path: Path) -> None:
    """Remove a folder with its content. A process killed meanwhile leaves it whole or without its name."""
    old = _name_temporary(path)
    files.rename(path, old)
    files.remove_tree(old)


def collect_folders(directory: Path) -> None:
    """Remove folders left by killed writers in ``directory``. Call it only while no one else writes there."""
    if not directory.is_symlink():
        for one in directory.glob(f"{files.TEMP_PREFIX}*{STAGED_SUFFIX}"):
            files.remove_tree(one)


def _name_temporary(path: Path) -> Path:
    return path.with_name(f"{files.TEMP_PREFIX}{path.name}-{secrets.token_hex(8)}{STAGED_SUFFIX}")


def is_directory(path: Path) -> bool:
    """Like ``Path.is_dir``, also for a name that is too long."""
    return os.path.isdir(path)  # noqa: PTH112


def _sync_tree(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir():
            _sync_tree(one)
        else:
            files.sync_file(one)
    files.sync_directory(folder)
