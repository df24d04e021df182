"""The system calls that create, name and remove artifacts, one function each, for ``records.files`` alone.

``semilla.system.storage`` says what each of them promises on which system.

Nothing here decides anything. A test that replaces one of these functions stands between two system calls of the
writer, where a disk may fill up, fail or lose power.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from semilla.system import storage
from semilla.system.storage import NO_LINK, NO_WAIT

CALLS = ("open_new", "write", "flush", "fsync", "replace", "fsync_directory", "unlink", "mkdir", "rmdir")
"""Every function here that a fault could hit."""

NOT_OURS = "it is a link or no regular file, or it has a second name (a hard link)"

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755
"""The umask may narrow these further: others may read, only the owner writes."""

fsync, fsync_directory = storage.sync_file, storage.sync_folder
replace, unlink, rmdir = storage.replace, storage.unlink, storage.rmdir


def open_own(path: str, flags: int) -> int:
    """Opener for ``open`` on a file that is ours: a regular file, reached by no link, with no second name.

    Writing to it changes no other file, and opening it never waits, as for a named pipe.
    """
    try:
        storage.refuse_link(path)
        descriptor = os.open(path, flags | NO_LINK | NO_WAIT, FILE_MODE)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise OSError(errno.ELOOP, NOT_OURS, path) from error
        raise
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    raise OSError(errno.ELOOP, NOT_OURS, path)


def open_readable(path: str, flags: int) -> int:
    """Opener for ``open`` to read a regular file, also through a link; anything that could block is refused."""
    descriptor = os.open(path, flags | NO_WAIT)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", path)


def open_new(path: Path) -> BinaryIO:
    """Create a file that must not exist yet."""
    return open(path, "xb", opener=open_own)


def write(file: BinaryIO, data: bytes | memoryview) -> None:
    file.write(data)


def flush(file: BinaryIO) -> None:
    file.flush()


def mkdir(path: Path) -> None:
    path.mkdir(DIRECTORY_MODE)
