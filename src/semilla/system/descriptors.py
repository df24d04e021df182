"""How many files and connections this process may have open."""

from __future__ import annotations

import sys
from contextlib import suppress

if sys.platform != "win32":
    import resource


def allow_descriptors(wanted: int) -> int:
    """Raise the soft limit to ``wanted`` as far as the system lets us; return how many there may be.

    Linux and macOS limit the descriptors of a process. Windows limits its sockets only by memory.
    """
    if sys.platform == "win32":
        return wanted
    else:  # noqa: RET505 - for mypy, which knows no resource on Windows
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return soft
