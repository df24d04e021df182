"""Starts a fresh process to measure a bundle: memory figures mean nothing in a process with a past."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

# The training process may set these; a device does not, and each changes the measured memory.
ALLOCATOR_VARIABLES = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_")


def run_child(
    module: str, arguments: Sequence[str], *, timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run one of our modules with the default allocator; raises subprocess.TimeoutExpired."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ALLOCATOR_VARIABLES)}
    # -P: a json.py or numpy.py in the current directory must not be imported.
    return subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", module, *arguments],
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        start_new_session=True,  # Ctrl-C must reach the run alone, which stops at a safe point
    )
