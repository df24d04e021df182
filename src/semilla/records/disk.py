"""The system calls that create, name and remove artifacts, one function each, for ``records.files`` alone.

Nothing here decides anything. A test that replaces one of these functions stands between two system calls of the
writer, where a disk may fill up, fail or lose power.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

CALLS = ("open_new", "write", "flush", "fsync", "replace", "fsync_directory", "unlink", "mkdir", "rmdir")
"""Every function here that a fault could hit."""

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755
"""The umask may narrow these further: others may read, only the owner writes."""


def open_regular(path: str, flags: int) -> int:
    """Opener for ``open``: the usual mode whatever the umask allows, and symbolic links are not followed."""
    return os.open(path, flags | os.O_NOFOLLOW, FILE_MODE)


def open_new(path: Path) -> BinaryIO:
    """Create a file that must not exist yet."""
    return open(path, "xb", opener=open_regular)


def write(file: BinaryIO, data: bytes | memoryview) -> None:
    file.write(data)


def flush(file: BinaryIO) -> None:
    file.flush()


def fsync(file: BinaryIO) -> None:
    os.fsync(file.fileno())


def replace(source: Path, target: Path) -> None:
    os.replace(source, target)  # noqa: PTH105 - the durable rename, under the name the manual uses


def fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unlink(path: Path) -> None:
    path.unlink()


def mkdir(path: Path) -> None:
    path.mkdir(DIRECTORY_MODE)


def rmdir(path: Path) -> None:
    path.rmdir()
