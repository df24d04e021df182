"""The only writer of artifacts: complete under its final name, or absent.

Each write goes to a temporary file in the same directory, is flushed and synced, takes its final name by
``os.replace``, and the directory is synced so that the name itself survives a power cut. Directories are made and
files removed here too; every system call goes through ``records.disk``.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from semilla.errors import IntegrityError, SemillaError, StorageError, from_os_error
from semilla.escape import escape_controls
from semilla.records import disk

TEMP_PREFIX = ".semilla-"
TEMP_SUFFIX = ".tmp"
_NO_HASH = "0" * 64
_HASH_AT_END = re.compile(rb'"sha256": "([0-9a-f]{64})"\n}\n\Z')
_PIECE_BYTES = 1 << 20
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


@dataclass(frozen=True)
class Artifact:
    """A file a run left behind: its path relative to the output directory, SHA-256 and size."""

    path: str
    sha256: str
    size_bytes: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Draft:
    """A file on its way to the name ``path``; what is written to it stands under no name that counts."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``; raises the error tree's translation of any ``OSError``."""
        with _translated(self.path):
            disk.write(self.file, data)

    def clear(self) -> None:
        """Drop what was written so far."""
        with _translated(self.path):
            self.file.seek(0)
            self.file.truncate()

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        with _translated(self.path):
            disk.flush(self.file)
            disk.sync(self.file)


@contextmanager
def open_atomic(path: Path) -> Iterator[Draft]:
    """Write ``path`` through a temporary file; on any exception the final name stays as it was.

    Raises the error tree's translation of any ``OSError`` met while writing.
    """
    temp_path = name_temporary(path.parent)
    try:
        with _translated(path):
            file = disk.open_new(temp_path)
        try:
            draft = Draft(file, path)
            yield draft
            draft.sync()
        finally:
            with suppress(OSError):  # what a full disk refused above, closing would try once more
                file.close()
        with _translated(path):
            disk.replace(temp_path, path)
    except BaseException:
        with suppress(OSError):
            disk.unlink(temp_path)
        raise
    sync_directory(path.parent)


def name_temporary(directory: Path) -> Path:
    """A new name in ``directory`` that ``collect_garbage`` knows for ours."""
    return directory / f"{TEMP_PREFIX}{os.urandom(8).hex()}{TEMP_SUFFIX}"


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    with open_atomic(path) as file:
        file.write(data)


def copy_file(source: Path, target: Path) -> None:
    """Write what ``source`` holds to ``target``, a piece at a time."""
    with open_atomic(target) as draft, _translated(source), source.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            draft.write(piece)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write readable JSON; NaN and infinities are refused, for no strict reader accepts them.

    Characters that could act on a terminal are escaped, lone surrogates of undecodable names too.
    """
    write_text(path, _format(value))


def _format(value: object) -> str:
    return escape_controls(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)) + "\n"


def write_record(path: Path, value: Mapping[str, Any]) -> None:
    """Write readable JSON that carries the SHA-256 of its own bytes, taken with zeros in the hash's place."""
    text = _format({**value, "sha256": _NO_HASH})
    head, _, tail = text.rpartition(_NO_HASH)
    write_text(path, f"{head}{_hash(text.encode())}{tail}")


def read_record(path: Path) -> dict[str, Any]:
    """Verify and read what ``write_record`` wrote; raises IntegrityError when it is damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise from_os_error(error, path) from error
    found = _HASH_AT_END.search(data)
    blank = data[: found.start(1)] + _NO_HASH.encode() + data[found.end(1) :] if found else b""
    if not found or _hash(blank).encode() != found[1]:
        raise IntegrityError(f"{path} is not what was written: its SHA-256 differs")
    try:
        content: dict[str, Any] = json.loads(data)
    except (ValueError, RecursionError) as error:
        # Forged: a hash tells that a file is whole, not who wrote it.
        raise IntegrityError(f"{path} is not readable JSON: {error}") from error
    content.pop("sha256")
    return content


def read_json(path: Path) -> Any:
    """Read JSON written by ``write_json``; raises IntegrityError when it does not parse."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise from_os_error(error, path) from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not readable JSON: {error}") from error


def rename(source: Path, target: Path) -> None:
    """Give a file or a folder another name on the same file system, which survives a power cut."""
    with _translated(target):
        disk.replace(source, target)
    sync_directory(target.parent)


def sync_file(path: Path) -> None:
    """Wait until a file that another library wrote is on the disk."""
    with _translated(path), path.open("rb") as file:
        disk.sync(file)


def make_directory(directory: Path) -> None:
    """Make one directory inside an existing one, if it is not there yet, and let its name survive a power cut."""
    with _translated(directory):
        try:
            disk.make_directory(directory)
        except FileExistsError:
            if directory.is_dir():
                return
            raise
    sync_directory(directory.parent)


def remove_directory(directory: Path) -> None:
    """Remove a directory if it is empty."""
    with suppress(OSError):
        disk.remove_directory(directory)


def remove_file(path: Path) -> None:
    """Remove a file, which may be gone already."""
    with _translated(path), suppress(FileNotFoundError):
        disk.unlink(path)


def remove_files(paths: Collection[Path]) -> None:
    """Remove artifacts for good, before anything else is written.

    Until its directory is synced a power cut may bring a name back, and what is written meanwhile may go where the
    file's bytes were.
    """
    for path in paths:
        remove_file(path)
    for directory in {path.parent for path in paths}:
        sync_directory(directory)


def sync_directory(directory: Path) -> bool:
    """Make new names inside ``directory`` survive a power cut; False where its file system does not offer that."""
    with _translated(directory):
        try:
            disk.sync_directory(directory)
        except OSError as error:
            if error.errno in _CANNOT_SYNC:
                return False
            raise
    return True


def _hash(data: bytes) -> str:
    import hashlib  # noqa: PLC0415 - OpenSSL, 3.5 MB that a device can do without

    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal."""
    import hashlib  # noqa: PLC0415 - as above

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
        remove_file(path)
    return removed


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise the error tree's translation of an ``OSError`` met while working on ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT and not path.parent.is_dir():
            raise StorageError(f"the directory {path.parent} vanished while it was in use") from error
        raise from_os_error(error, path) from error
