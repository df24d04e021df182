"""The only writer of artifacts. Each file is complete under its final name, or absent.

A write goes to a temporary file in the same directory, which is flushed and synced, and then takes its final name by
``os.replace``. Then the directory is synced, so that the name survives a power cut. Directories are made and files
removed here too. Every system call goes through ``records.disk``.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from semilla.errors import IntegrityError, SemillaError, StorageError, from_os_error
from semilla.escape import escape_controls
from semilla.records import disk
from semilla.system import storage

TEMP_PREFIX = ".semilla-"
TEMP_SUFFIX = ".tmp"
_NO_HASH = "0" * 64
_HASH_AT_END = re.compile(rb'"sha256": "([0-9a-f]{64})"\n}\n\Z')
_PIECE_BYTES = 1 << 20
MAX_RECORD_BYTES = 8 << 20
"""A status or the metrics of a hundred epochs take less than a hundredth of it."""
MAX_RECORD_DEPTH = 20
"""The deepest record, a status, has 7 levels; the work and the memory that follow grow with every level."""
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


@dataclass(frozen=True)
class Artifact:
    """A file a run left: its path relative to the output directory, its SHA-256 and its size."""

    path: str
    sha256: str
    size_bytes: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class SyncError(StorageError):
    """The disk did not confirm that a file was written."""


class Draft:
    """An open temporary file that becomes ``path``. Its methods translate any ``OSError`` to a Semilla error."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path

    def write(self, data: bytes | memoryview) -> None:
        with _translated(self.path):
            disk.write(self.file, data)

    def clear(self) -> None:
        """Discard what was written so far."""
        with _translated(self.path):
            self.file.seek(0)
            self.file.truncate()

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        with _translated(self.path):
            disk.flush(self.file)
            try:
                disk.fsync(self.file)
            except OSError as error:
                if error.errno == errno.EIO:
                    raise SyncError(f"input/output error: {self.path}: it cannot be synced") from error
                raise


@contextmanager
def open_atomic(path: Path) -> Iterator[Draft]:
    """Write ``path`` through a temporary file. On any exception, ``path`` stays as it was."""
    temp_path = name_temporary(path.parent)
    try:
        with _translated(path):
            file = disk.open_new(temp_path)
        try:
            draft = Draft(file, path)
            yield draft
            draft.sync()
        finally:
            with suppress(OSError):  # after a failed write on a full disk, closing would try again and fail
                file.close()
        with _translated(path):
            disk.replace(temp_path, path)
    except BaseException:
        with suppress(OSError):
            disk.unlink(temp_path)
        raise
    sync_directory(path.parent)


def name_temporary(directory: Path) -> Path:
    """Return a new name in ``directory`` that ``collect_garbage`` recognizes."""
    return directory / f"{TEMP_PREFIX}{os.urandom(8).hex()}{TEMP_SUFFIX}"


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file. When it cannot be synced, try once more with a new one.

    After a failed sync the kernel may count the pages as written, so syncing the same file again proves nothing.
    """
    try:
        _write_once(path, data)
    except SyncError:
        _write_once(path, data)


def _write_once(path: Path, data: bytes | memoryview) -> None:
    with open_atomic(path) as draft:
        draft.write(data)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def copy_file(source: Path, target: Path) -> None:
    """Copy ``source`` to ``target``, one piece at a time."""
    with open_atomic(target) as draft, _translated(source), source.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            draft.write(piece)


def write_json(path: Path, value: object) -> None:
    """Write readable JSON. NaN and infinities are refused; characters that could act on a terminal are escaped."""
    write_text(path, _format_json(value))


def read_json(path: Path, *, limit: int = MAX_RECORD_BYTES) -> Any:
    """Read JSON; raises IntegrityError when it does not parse, has over ``limit`` bytes or is deeper than records."""
    return parse_json(read_bytes(path, limit=limit), path)


def parse_json(data: bytes, path: Path) -> Any:
    """Parse what was read from ``path``; raises IntegrityError when it is no JSON, or deeper than any record."""
    try:
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not readable JSON: {error}") from error
    if _is_deeper(content, MAX_RECORD_DEPTH):
        raise IntegrityError(f"{path} is nested more than {MAX_RECORD_DEPTH} levels deep, and no record is")
    return content


def write_record(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON that carries the SHA-256 of its own bytes, computed with zeros in place of the hash."""
    text = _format_json({**value, "sha256": _NO_HASH})
    head, _, tail = text.rpartition(_NO_HASH)
    write_text(path, f"{head}{_hash(text.encode())}{tail}")


def read_record(path: Path) -> dict[str, Any]:
    """Verify and read what ``write_record`` wrote; raises IntegrityError when it is damaged."""
    data = read_bytes(path)
    found = _HASH_AT_END.search(data)
    blank = data[: found.start(1)] + _NO_HASH.encode() + data[found.end(1) :] if found else b""
    if not found or _hash(blank).encode() != found[1]:
        raise IntegrityError(f"{path} has changed since it was written: its SHA-256 differs")
    # It may still be forged: the hash shows that the file is complete, not who wrote it.
    content: dict[str, Any] = parse_json(data, path)
    content.pop("sha256")
    return content


def read_bytes(path: Path, *, limit: int = MAX_RECORD_BYTES) -> bytes:
    """Read a regular file, never a pipe or a device; raises IntegrityError when it has more than ``limit`` bytes."""
    with _translated(path), open(path, "rb", opener=disk.open_readable) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise IntegrityError(f"{path} is larger than {limit >> 20} MB, and no file of its kind is")
    return data


def _is_deeper(content: object, depth: int) -> bool:
    """Return whether JSON values are nested more than ``depth`` levels deep."""
    level = [content]
    for _ in range(depth):
        parts = [
            part.values() if isinstance(part, dict) else part
            for part in level
            if isinstance(part, dict | list)
        ]
        level = [inner for part in parts for inner in part]
    return any(isinstance(part, dict | list) for part in level)


def _format_json(value: object) -> str:
    return escape_controls(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)) + "\n"


def rename(source: Path, target: Path) -> None:
    """Durably rename a file or folder within one file system."""
    with _translated(target):
        disk.replace(source, target)
    sync_directory(target.parent)


def sync_file(path: Path) -> None:
    """Wait until a file written by another library is on the disk."""
    with _translated(path), path.open(storage.SYNC_MODE) as file:
        disk.fsync(file)


def make_directory(directory: Path) -> None:
    """Durably create one directory inside an existing one, unless it exists; a link to one is refused."""
    with _translated(directory):
        try:
            disk.mkdir(directory)
        except FileExistsError:
            if directory.is_symlink():
                raise OSError(errno.ELOOP, "it is a link", str(directory)) from None
            if directory.is_dir():
                return
            raise
    sync_directory(directory.parent)


def remove_directory(directory: Path) -> None:
    """Remove a directory if it is empty."""
    with suppress(OSError):
        disk.rmdir(directory)


def remove_tree(directory: Path) -> None:
    """Remove a directory and everything in it, or a link to one; no link is followed.

    Everything is removed from open directories, so a directory that becomes a link meanwhile leads nowhere else.
    """
    if directory.is_symlink():
        remove_file(directory)
    elif directory.is_dir():
        for place, folders, others, descriptor in storage.walk_up(directory):
            for name in [*others, *folders]:
                path = Path(place, name)
                if stat.S_ISDIR(storage.look_at(path, descriptor).st_mode):
                    with suppress(OSError):
                        disk.rmdir(path, descriptor)
                else:
                    with _translated(path):
                        disk.unlink(path, descriptor)
        remove_directory(directory)


def remove_file(path: Path) -> None:
    """Remove a file if it exists."""
    with _translated(path), suppress(FileNotFoundError):
        disk.unlink(path)


def remove_files(paths: Collection[Path]) -> None:
    """Durably remove artifacts.

    Until the directory is synced, a power cut may bring back a name whose blocks already hold newer data.
    """
    for path in paths:
        remove_file(path)
    for directory in {path.parent for path in paths}:
        sync_directory(directory)


def sync_directory(directory: Path) -> bool:
    """Make new names in ``directory`` survive a power cut. Returns False if its file system cannot do that."""
    with _translated(directory):
        try:
            disk.fsync_directory(directory)
        except OSError as error:
            if error.errno in _CANNOT_SYNC:
                return False
            raise
    return True


def _hash(data: bytes) -> str:
    import hashlib  # noqa: PLC0415 - loads OpenSSL, 3.5 MB, which the runtime does without

    return hashlib.sha256(data).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    import hashlib  # noqa: PLC0415 - see _hash

    with _translated(path), open(path, "rb", opener=disk.open_readable) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_artifact(path: Path, *, root: Path) -> Artifact:
    """Hash ``path``, a file below ``root``."""
    return Artifact(path.relative_to(root).as_posix(), hash_file(path), path.stat().st_size)


def verify_artifact(artifact: Artifact, *, root: Path) -> None:
    """Raise IntegrityError unless the file exists and is, byte for byte, what was recorded."""
    path = root / artifact.path
    if not path.is_file():
        raise IntegrityError(f"{path} is missing")
    if path.stat().st_size != artifact.size_bytes or hash_file(path) != artifact.sha256:
        raise IntegrityError(f"{path} has changed: its size or SHA-256 is not the recorded one")


def is_intact(artifact: Artifact, *, root: Path) -> bool:
    try:
        verify_artifact(artifact, root=root)
    except SemillaError:
        return False
    return True


def collect_garbage(directory: Path) -> list[Path]:
    """Remove temporary files left by killed writers. Call it only while holding the directory's lock.

    Nothing is removed through a link: neither where ``directory`` is one, nor what one in it leads to.
    """
    try:
        descriptor = storage.open_folder(directory)
    except OSError:
        return []
    place = directory if descriptor is None else descriptor
    try:
        found = fnmatch.filter(os.listdir(place), f"{TEMP_PREFIX}*{TEMP_SUFFIX}")  # noqa: PTH208
        removed = [directory / name for name in found]
        for path in removed:
            with _translated(path), suppress(FileNotFoundError, IsADirectoryError):
                disk.unlink(path, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return removed


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Translate an ``OSError`` raised while working on ``path`` to a Semilla error."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT and not path.parent.is_dir():
            raise StorageError(f"the directory {path.parent} disappeared during use") from error
        raise from_os_error(error, path) from error
