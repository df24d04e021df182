"""One run at a time in an output directory: an advisory lock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from semilla.errors import LockedError, from_os_error
from semilla.records import names
from semilla.records.disk import with_usual_mode
from semilla.records.status import now

_TRIES = 5
_PAUSE_S = 0.05
"""A reader that asks whether the directory is held takes the lock for an instant; that must not look like a run.
Nor must a child process of a killed run, which has the lock until its program is loaded."""


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
        file.write(json.dumps({"process_id": os.getpid(), "since": now()}) + "\n")
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
    """Is a living run holding the directory? A stale file of a killed run is not a lock.

    A run that is killed while it starts a child process leaves the lock to that child until the child's program is
    loaded. So where the process that took the lock is gone, the answer is asked for again; its number alone decides
    nothing, for it may belong to somebody else by now.
    """
    for _ in range(_TRIES):
        if not _is_taken(directory / names.LOCK):
            return False
        if _is_alive(_read_holder(directory).get("process_id")):
            return True
        time.sleep(_PAUSE_S)
    return True


def _is_taken(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _is_alive(process_id: object) -> bool:
    try:
        os.kill(int(str(process_id)), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _describe_holder(directory: Path) -> str:
    holder = _read_holder(directory)
    try:
        return f"process {int(holder['process_id'])} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has just started"


def _read_holder(directory: Path) -> dict[str, Any]:
    """What the holder wrote about itself; nothing while it has not come to it yet."""
    try:
        with (directory / names.LOCK).open(encoding="utf-8") as file:
            return dict(json.loads(file.readline()))  # what follows is the pulse
    except (OSError, ValueError, TypeError):
        return {}
