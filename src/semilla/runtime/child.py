"""Starts a fresh process to measure a bundle: memory figures mean nothing in a process with a past."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from semilla.system.children import run_module

# The training process may set these; a device does not, and each changes the measured memory.
ALLOCATOR_VARIABLES = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_")


def run_child(
    module: str, arguments: Sequence[str], *, timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run one of our modules with the default allocator; raises like ``run_module``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ALLOCATOR_VARIABLES)}
    return run_module(module, arguments, timeout_s=timeout_s, environment=clean)
