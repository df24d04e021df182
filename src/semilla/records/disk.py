"""The system calls that make, name and remove artifacts, one function each; ``records.files`` alone uses them.

Nothing here decides anything. Whoever replaces one of these functions, as the tests do, stands exactly between two
system calls of the writer: there a disk may fill, fail or lose its power.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

CALLS = (
    "open_new",
    "write",
    "flush",
    "sync",
    "replace",
    "sync_directory",
    "unlink",
    "make_directory",
    "remove_directory",
)
"""Every function here that a fault could strike."""

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755
"""What the umask may still narrow: others read, only the owner writes."""


def open_new(path: Path) -> BinaryIO:
    """Create a file that must not be there yet."""
    return open(path, "xb", opener=with_usual_mode)


def with_usual_mode(path: str, flags: int) -> int:
    """Open for ``open``, which would let the umask alone decide who may write."""
    return os.open(path, flags, FILE_MODE)


def write(file: BinaryIO, data: bytes | memoryview) -> None:
    file.write(data)


def flush(file: BinaryIO) -> None:
    file.flush()


def sync(file: BinaryIO) -> None:
    os.fsync(file.fileno())


def replace(source: Path, target: Path) -> None:
    os.replace(source, target)  # noqa: PTH105 - the durable rename, named as the manual names it


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unlink(path: Path) -> None:
    path.unlink()


def make_directory(path: Path) -> None:
    path.mkdir(DIRECTORY_MODE)


def remove_directory(path: Path) -> None:
    path.rmdir()
