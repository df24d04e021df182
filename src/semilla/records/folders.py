"""Folders that are complete under their final name, or absent; what somebody else put there is never touched."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.errors import InvalidConfigError, SemillaError, from_os_error
from semilla.records.files import (
    TEMP_PREFIX,
    Artifact,
    describe_artifact,
    is_intact,
    read_json,
    sync_directory,
    write_json,
)

STAGED_SUFFIX = ".folder"
"""Not that of temporary files, which are removed as files."""


@contextmanager
def stage_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that takes the name ``path``, and the place of what stood there, when all in it is written.

    On any exception ``path`` stays as it was. Raises the error tree's translation of any ``OSError``. Between taking
    the old folder's name away and giving it to the new one there is an instant without either: a process killed just
    then leaves no folder, never half of one.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _collect_garbage(path)
        staged = _name_temp(path)
        staged.mkdir()
    except OSError as error:
        raise from_os_error(error, path) from error
    try:
        yield staged
        _sync_tree(staged)
        _replace(path, staged)
    except OSError as error:
        raise from_os_error(error, error.filename or path) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def seal_folder(folder: Path, *, name: str, description: dict[str, Any]) -> list[Artifact]:
    """Write ``description`` to ``name``, with the SHA-256 and size of every file of ``folder``, and return those."""
    files = [describe_artifact(path, root=folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    write_json(folder / name, {**description, "files": [file.as_json() for file in files]})
    return files


def check_replaceable(path: Path, *, name: str, **expected: object) -> None:
    """Raise InvalidConfigError unless ``path`` is absent, empty, or a sealed folder as it was left.

    ``expected`` are entries its description must have: a folder of another kind is not replaced either.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    reason = "it is not a folder" if not path.is_dir() else _find_objection(path, name, expected)
    if reason:
        raise InvalidConfigError(f"{path} is not replaced: {reason}. Name another folder with --output")


def _find_objection(path: Path, name: str, expected: dict[str, object]) -> str | None:
    try:
        description = read_json(path / name)
        listed = [Artifact(**entry) for entry in description["files"]]
    except (SemillaError, KeyError, TypeError):
        return f"it holds files, and no {name} that says they may go"
    if different := [key for key, value in expected.items() if description.get(key) != value]:
        return f"it holds something else: its {different[0]} is {description.get(different[0])!r}"
    known = {path / name, *(path / file.path for file in listed)}
    foreign = sorted(one for one in path.rglob("*") if not one.is_dir() and one not in known)
    if foreign:
        return f"{foreign[0].relative_to(path)} in it is not from an export"
    changed = [file.path for file in listed if (path / file.path).exists() and not is_intact(file, root=path)]
    return f"{changed[0]} in it was changed since" if changed else None


def _name_temp(path: Path) -> Path:
    return path.with_name(f"{TEMP_PREFIX}{path.name}-{secrets.token_hex(8)}{STAGED_SUFFIX}")


def _collect_garbage(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it."""
    for one in path.parent.iterdir():
        if one.name.startswith(f"{TEMP_PREFIX}{path.name}-") and one.name.endswith(STAGED_SUFFIX):
            shutil.rmtree(one)


def _replace(path: Path, staged: Path) -> None:
    old = _name_temp(path)
    if path.exists():
        path.rename(old)
    staged.rename(path)
    sync_directory(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            sync_directory(path)
