"""One run at a time in an output directory: an advisory lock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from semilla.errors import LockedError, from_os_error
from semilla.records import names
from semilla.records.disk import with_usual_mode
from semilla.records.status import now

_TRIES = 5
_PAUSE_S = 0.05
"""A reader that asks whether the directory is held takes the lock for an instant; that must not look like a run."""


@contextmanager
def hold_lock(directory: Path) -> Iterator[None]:
    """Hold the directory for the length of a run; raises LockedError with the holder's pid and start time."""
    path = directory / names.LOCK
    try:
        file = _open_locked(path)
    except OSError as error:
        raise from_os_error(error, path) from error
    if file is None:
        raise LockedError(
            f"another run holds {directory} ({_describe_holder(directory)})",
            next_command=f"semilla status {directory}",
        )
    with file:
        file.truncate(0)
        file.write(json.dumps({"process_id": os.getpid(), "since": now()}))
        file.flush()
        yield


def _open_locked(path: Path) -> TextIO | None:
    """Open and lock the file that now stands at ``path``; None when it stays locked by somebody else."""
    for _ in range(_TRIES):
        file = open(path, "a+", opener=with_usual_mode)  # noqa: SIM115 - Path.open takes no opener
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _stands_at(path, file):
                return file
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        except BaseException:
            file.close()
            raise
        file.close()
    return None


def _stands_at(path: Path, file: TextIO) -> bool:
    """Tell whether the open file still has its name: whoever held it before may have cleaned the directory."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def is_locked(directory: Path) -> bool:
    """Is a living run holding the directory? A stale file of a killed run is not a lock."""
    try:
        with (directory / names.LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _describe_holder(directory: Path) -> str:
    try:
        holder = json.loads((directory / names.LOCK).read_text())
        return f"process {int(holder['process_id'])} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has just started"
