"""Runs one of our modules in a child process that ends with its parent.

    python -P -m semilla.system.child PARENT MODULE ARGUMENTS...

asks the kernel to end this process with PARENT, and then runs MODULE. Without it a child that is stopped, as by
``kill -STOP``, would outlive the run that started it. It imports nothing that would count in the memory of MODULE.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

IMPORT_FAILED = 69
"""Exit code of a child that lacks a package (EX_UNAVAILABLE)."""
_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends; exit if ``parent`` is gone already."""
    if sys.platform == "linux":  # elsewhere, a child notices when its pipe closes
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # In a virtual environment on Windows, a launcher stands between the two processes.
    if sys.platform != "win32" and os.getppid() != parent:
        sys.exit("the parent process is gone")


def main(arguments: Sequence[str]) -> None:
    parent, module, *rest = arguments
    end_with(int(parent))
    sys.argv[1:] = rest
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "semilla":
            raise
        sys.stderr.write(f"{error}\n")
        sys.exit(IMPORT_FAILED)


if __name__ == "__main__":
    main(sys.argv[1:])
