"""One run at a time in an output directory: an advisory lock that the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semilla.errors import LockedError, from_os_error
from semilla.records import names
from semilla.records.status import now


@contextmanager
def hold_lock(directory: Path) -> Iterator[None]:
    """Hold the directory for the length of a run; raises LockedError with the holder's pid and start time."""
    try:
        file = (directory / names.LOCK).open("a+")
    except OSError as error:
        raise from_os_error(error, directory / names.LOCK) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"another run holds {directory} ({_describe_holder(directory)})",
                next_command=f"semilla status {directory}",
            ) from None
        file.truncate(0)
        file.write(json.dumps({"process_id": os.getpid(), "since": now()}))
        file.flush()
        yield


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
