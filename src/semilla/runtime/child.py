"""A fresh process that measures or tries a bundle: memory counts only where nothing else was done before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

# Set for the training process; a device has none of them, and each changes what memory is measured.
ALLOCATOR_VARIABLES = ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_")


def run_child(
    module: str, arguments: Sequence[str], *, timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run one of our modules with the allocator as it comes; raises subprocess.TimeoutExpired."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ALLOCATOR_VARIABLES)}
    # -P: a json.py or numpy.py in the current directory must not be imported.
    return subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", module, *arguments],
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        start_new_session=True,  # Ctrl-C is for the run to grant, not for the child to take
    )
