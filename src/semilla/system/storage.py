"""What file systems offer: ways to open, durable names, space. Nothing here decides what is written.

What a run can count on after each step of its writer:

* ``sync_file``: the bytes are on the disk. Linux: ``fsync``. macOS: ``F_FULLFSYNC``, because ``fsync`` leaves them in
  the disk's own cache there. Windows: ``FlushFileBuffers``, through ``os.fsync``.
* ``replace``: a reader sees the old file or the new one, never a mixture, on every system. Windows refuses it while
  somebody has the target open without sharing, so it is tried for ``PATIENCE_S``.
* ``sync_folder``: the name survives a power cut. Linux and macOS sync the folder. Windows has no such call: NTFS
  journals names, so after a power cut a name leads to the old file or to the new one, and the newest may be missing.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

if sys.platform == "darwin":
    import fcntl

NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags to open a file with: never wait, as for a named pipe (Windows has none in folders), and change no line end."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Flag to open a file with: refuse a link. Windows lacks it, so ``refuse_link`` looks before the file is opened."""
_FOLDER = getattr(os, "O_DIRECTORY", 0)
_HAS_OPEN_FOLDERS = os.unlink in os.supports_dir_fd
SYNC_MODE = "rb" if sys.platform != "win32" else "r+b"
"""Mode to open a file with to sync it; Windows syncs no file that is open for reading only."""
PATIENCE_S = 2.0
"""Windows: how long a file that a reader or a virus scanner has open may delay its replacement or removal."""
_PAUSE_S = 0.02


def refuse_link(path: str) -> None:
    """Raise OSError (ELOOP) for a link, where opening would follow it.

    Windows: a link that appears between this look and the opening is followed. There, only administrators and
    developers may make links.
    """
    if not NO_LINK and os.path.islink(path):  # noqa: PTH114 - as ``open`` passes it
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def open_folder(path: Path) -> int | None:
    """Descriptor of a folder that is not a link, to work inside it whatever becomes of its name.

    None on Windows, which has no such descriptors. Raises OSError for anything else than a folder.
    """
    if _HAS_OPEN_FOLDERS:
        return os.open(path, os.O_RDONLY | _FOLDER | NO_LINK)
    refuse_link(str(path))
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return None


def walk_up(directory: Path) -> Iterator[tuple[str, list[str], list[str], int | None]]:
    """Like ``os.fwalk`` from the innermost folders up, without following links; without descriptors on Windows."""
    if sys.platform != "win32":
        yield from os.fwalk(directory, topdown=False)
    else:
        for place, folders, others in os.walk(directory, topdown=False):
            yield place, folders, others, None


def look_at(path: Path, folder: int | None) -> os.stat_result:
    """What is at ``path`` itself, by its name in ``folder`` where one is open."""
    return path.lstat() if folder is None else os.stat(path.name, dir_fd=folder, follow_symlinks=False)


def sync_file(file: IO[Any]) -> None:
    """Wait until the content of a file is on the disk."""
    if sys.platform == "darwin":
        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
    else:
        os.fsync(file.fileno())


def sync_folder(directory: Path) -> None:
    """Wait until the names in a folder are on the disk; nothing on Windows."""
    if sys.platform != "win32":
        descriptor = os.open(directory, os.O_RDONLY | _FOLDER)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Give ``source`` the name ``target``, in place of what had it."""
    _insist(partial(os.replace, source, target))


def unlink(path: Path, folder: int | None = None) -> None:
    """Remove a file, by its name in ``folder`` where one is open."""
    _insist(partial(os.unlink, path) if folder is None else partial(os.unlink, path.name, dir_fd=folder))


def rmdir(path: Path, folder: int | None = None) -> None:
    """Remove an empty folder, by its name in ``folder`` where one is open."""
    if folder is None:
        path.rmdir()
    else:
        os.rmdir(path.name, dir_fd=folder)


def _insist(act: Callable[[], None]) -> None:
    """Call ``act``, and again while Windows refuses because the file is open."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > deadline_s:
                raise
            time.sleep(_PAUSE_S)


def write_at_start(descriptor: int, content: bytes) -> None:
    if sys.platform != "win32":
        os.pwrite(descriptor, content, 0)
    else:
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, content)


def reserve(file: IO[Any], size_bytes: int) -> None:
    """Reserve space for an open file; raises OSError when there is none, or (ENOSYS) when the system cannot."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    os.posix_fallocate(file.fileno(), 0, size_bytes)


def count_free_files(folder: str | os.PathLike[str]) -> int | None:
    """How many more files the file system can hold; None where it has no limit, or none that it tells (Windows)."""
    if sys.platform == "win32":
        return None
    usage = os.statvfs(folder)
    return usage.f_favail if usage.f_files else None
