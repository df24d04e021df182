"""Keeps libraries from writing outside the output directory."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

MEMORY = "/dev/shm"  # noqa: S108 - unnamed files only
_COMPILER, _CACHE = "torch._dynamo", "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def keep_in_memory() -> Iterator[None]:
    """Let the temporary files that a library makes meanwhile be in memory, where the system has such a folder."""
    previous = tempfile.tempdir
    if os.access(MEMORY, os.W_OK):
        tempfile.tempdir = MEMORY
    try:
        yield
    finally:
        tempfile.tempdir = previous


def import_compiler() -> None:
    """Import what torch imports for its first optimizer, without the folder that it would make for compiled code.

    Nothing is compiled here. The folder of this file is there already, and nothing is written to it.
    """
    if _COMPILER in sys.modules or _CACHE in os.environ:
        return
    os.environ[_CACHE] = os.path.dirname(__file__)  # noqa: PTH120 - no Path is needed
    try:
        import_module(_COMPILER)
    finally:
        del os.environ[_CACHE]
