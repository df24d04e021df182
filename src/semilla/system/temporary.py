"""Keeps libraries and trials from writing outside the output directory."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

TRIAL_BYTES = 1 << 30
"""Free bytes in memory that the text of a trial may take; with less it goes to the temporary folder."""
MEMORY = "/dev/shm"  # noqa: S108 - tempfile makes names there that nobody can guess
_COMPILER, _CACHE, _TRITON_CACHE = "torch._dynamo", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"


@contextmanager
def keep_in_memory(*, least_free_bytes: int = 0) -> Iterator[None]:
    """Let temporary files that are made meanwhile be in memory, where the system has such a folder with that space."""
    previous = tempfile.tempdir
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= least_free_bytes:
        tempfile.tempdir = MEMORY
    try:
        yield
    finally:
        tempfile.tempdir = previous


@contextmanager
def open_trial_folder() -> Iterator[str]:
    """A folder for the moment in which a text is tried, in memory if there is room."""
    with (
        keep_in_memory(least_free_bytes=TRIAL_BYTES),
        tempfile.TemporaryDirectory(prefix="semilla-trial-") as folder,
    ):
        yield folder


@contextmanager
def open_compiler_folder() -> Iterator[None]:
    """Give torch a private folder for what it compiles meanwhile. Another user could have made its usual one."""
    before = {name: os.environ.pop(name, None) for name in (_CACHE, _TRITON_CACHE)}
    try:
        with tempfile.TemporaryDirectory(prefix="semilla-compiled-") as folder:
            os.environ[_CACHE] = folder
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)  # torch sets Triton's
            if value is not None:
                os.environ[name] = value


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
