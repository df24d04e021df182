"""Locks on open files: other runs of Semilla respect them, and the system releases them when their holder dies.

On Linux and macOS a lock is ``flock``: advisory, for the whole file, exclusive or shared. On Windows it is a range of
one byte far behind the content, because a locked byte cannot be read there; shared locks do not exist, so a reader that
looks whether the file is locked holds it for an instant.
"""

from __future__ import annotations

import sys
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
    import os
else:
    import fcntl

CAN_REMOVE_LOCKED = sys.platform != "win32"
"""Whether a locked file can be removed. Where it cannot, removing it fails as long as anybody has it open."""
_LOCKED_BYTE = 2**30
"""On Windows: its position, far behind what any run writes there."""


def lock_file(file: IO[Any], *, shared: bool = False) -> None:
    """Lock an open file until it is closed; raises BlockingIOError at once when somebody else has locked it."""
    if sys.platform == "win32":
        descriptor = file.fileno()
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
    else:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
