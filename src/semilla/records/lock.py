"""One run at a time in an output directory: an advisory lock that the kernel releases when its holder dies."""

from __future__ import annotations

import errno
import json
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import psutil

from semilla.errors import LockedError, from_os_error
from semilla.records import names
from semilla.records.disk import open_own
from semilla.records.status import now
from semilla.system.locks import lock_file

_TRIES = 5
_PAUSE_S = 0.05
"""A reader takes the lock for an instant to see whether it is held, and a child process that a killed run was just
starting keeps it until its program is loaded. Neither may look like a run, so everyone tries a few times."""

_CLOCKS_S = 2.0
"""The start of a process is known to a hundredth of a second, and only as exactly as the system knows its own start."""

_MAX_HOLDER_BYTES = 512
"""The holder's line takes about 70; whatever else has its place is not read, however long or deep."""


@contextmanager
def hold_lock(directory: Path) -> Iterator[None]:
    """Hold the directory for the length of a run; raises LockedError with the holder's process and start time."""
    path = directory / names.LOCK
    try:
        file = _open_locked(path)
    except OSError as error:
        raise from_os_error(error, path) from error
    if file is None:
        raise LockedError(
            f"another run is using {directory} ({_describe_holder(directory)})",
            next_command=f"semilla status {shlex.quote(str(directory))}",
        )
    with file:
        file.truncate(0)
        file.write(json.dumps({"process_id": os.getpid(), "since": now()}) + "\n")
        file.flush()
        yield


def _open_locked(path: Path) -> TextIO | None:
    """Open and lock the file at ``path``; None when someone else keeps it locked."""
    for _ in range(_TRIES):
        file = open(path, "a+", encoding="utf-8", opener=open_own)  # noqa: SIM115 - Path.open takes no opener
        try:
            lock_file(file)
            if _is_still_at(path, file):
                return file
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        except BaseException:
            file.close()
            raise
        file.close()
    return None


def _is_still_at(path: Path, file: TextIO) -> bool:
    """Return whether the file at ``path`` is still this one; its last holder may have cleaned the directory."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def is_locked(directory: Path) -> bool:
    """Return whether a living run holds the directory. The leftover file of a killed run is not a lock.

    When the process that took the lock is gone, ask again: a child it was starting may hold the lock for a moment.
    A process number alone proves nothing, because another process may have it by now.
    """
    for _ in range(_TRIES):
        if not _is_taken(directory / names.LOCK):
            return False
        if _is_alive(_read_holder(directory).get("process_id")):
            return True
        time.sleep(_PAUSE_S)
    return True


def has_living_holder(directory: Path) -> bool:
    """Return whether the process that wrote its number into the lock file is alive. The lock is not touched.

    This is for readers that look often. A number that was given to another process since belongs to a process that
    began after the lock was taken.
    """
    holder = _read_holder(directory)
    try:
        process = psutil.Process(int(holder["process_id"]))
        taken_s = datetime.fromisoformat(holder["since"]).timestamp()
        return process.create_time() <= taken_s + _CLOCKS_S and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, ValueError, TypeError, OverflowError):
        return False


def _is_taken(path: Path) -> bool:
    try:
        with open(path, "rb", opener=open_own) as file:
            lock_file(file, shared=True)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP}:
            return False
        raise
    return False


def _is_alive(process_id: object) -> bool:
    try:
        return psutil.pid_exists(int(str(process_id)))  # a signal 0 would be Ctrl-C on Windows
    except (ValueError, OverflowError):
        return False


def _describe_holder(directory: Path) -> str:
    holder = _read_holder(directory)
    try:
        return f"process {int(holder['process_id'])} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has just started"


def _read_holder(directory: Path) -> dict[str, Any]:
    """What the holder wrote about itself; empty until it has. Only the first line: earlier versions wrote a second."""
    try:
        with open(directory / names.LOCK, encoding="utf-8", opener=open_own) as file:
            return dict(json.loads(file.readline(_MAX_HOLDER_BYTES)))
    except (OSError, ValueError, TypeError):
        return {}
