"""The only writer of artifacts: complete under its final name, or absent.

Each write goes to a temporary file in the same directory, is flushed and synced, takes its final name by
``os.replace``, and the directory is synced so that the name itself survives a power cut.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from semilla.errors import IntegrityError, SemillaError, from_os_error

TEMP_PREFIX = ".semilla-"
TEMP_SUFFIX = ".tmp"


@dataclass(frozen=True)
class Artifact:
    """A file a run left behind: its path relative to the output directory, SHA-256 and size."""

    path: str
    sha256: str
    size_bytes: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """Write ``path`` through a temporary file; on any exception the final name stays as it was.

    Raises the error tree's translation of any ``OSError`` met while writing.
    """
    temp_path = path.parent / f"{TEMP_PREFIX}{secrets.token_hex(8)}{TEMP_SUFFIX}"
    try:
        with temp_path.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp_path, path)  # noqa: PTH105 - the durable rename, named as the manual names it
        sync_directory(path.parent)
    except OSError as error:
        raise from_os_error(error, path) from error
    finally:
        with suppress(OSError):
            temp_path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    with open_atomic(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write readable JSON; NaN and infinities are refused, for no strict reader accepts them."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON written by ``write_json``; raises IntegrityError when it does not parse."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise from_os_error(error, path) from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not readable JSON: {error}") from error


def sync_directory(directory: Path) -> None:
    """Make renames inside ``directory`` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_file(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise from_os_error(error, path) from error


def describe_artifact(path: Path, *, root: Path) -> Artifact:
    """Hash ``path``, a file somewhere below ``root``."""
    return Artifact(path.relative_to(root).as_posix(), hash_file(path), path.stat().st_size)


def verify_artifact(artifact: Artifact, *, root: Path) -> None:
    """Raise IntegrityError unless the file is there and is, byte for byte, what was recorded."""
    path = root / artifact.path
    if not path.is_file():
        raise IntegrityError(f"{path} is missing")
    if path.stat().st_size != artifact.size_bytes or hash_file(path) != artifact.sha256:
        raise IntegrityError(f"{path} is not what was recorded: its size or SHA-256 differs")


def is_intact(artifact: Artifact, *, root: Path) -> bool:
    try:
        verify_artifact(artifact, root=root)
    except SemillaError:
        return False
    return True


def collect_garbage(directory: Path) -> list[Path]:
    """Remove the temporary files that killed writers left in ``directory``; call it only while holding its lock."""
    removed = list(directory.glob(f"{TEMP_PREFIX}*{TEMP_SUFFIX}"))
    for path in removed:
        path.unlink(missing_ok=True)
    return removed
