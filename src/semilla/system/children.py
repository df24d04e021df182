"""Child processes that run one of our modules: they end with their parent, and no wait for one is endless."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from semilla.errors import DependencyError, KilledError, SemillaError
from semilla.installation import suggest_installation
from semilla.system import interrupts
from semilla.system.child import IMPORT_FAILED
from semilla.system.endings import has_killed_since, name_ending

_POLL_S = 0.2
_OWN_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows only


def make_command(module: str, *arguments: str) -> list[str]:
    """Command line of a child process that runs ``module``."""
    # -P: a json.py or numpy.py in the working directory must not be imported.
    return [sys.executable, "-P", "-m", "semilla.system.child", str(os.getpid()), module, *arguments]


def run_module(
    module: str,
    arguments: Sequence[str] = (),
    *,
    timeout_s: float,
    content: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run ``module`` in a child process with ``content`` as standard input, and wait for its end.

    Raises InterruptedRunError soon after a signal asked the run to stop, DependencyError when the child lacks a
    package, and subprocess.TimeoutExpired.
    """
    interrupts.check()
    command = make_command(module, *arguments)
    pipe, deadline_s = subprocess.PIPE, time.monotonic() + timeout_s
    with (
        _store(content) as stdin,
        # In a session or group of its own Ctrl-C does not reach it: only the run decides when to stop.
        subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=stdin,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,  # Windows ignores it
            creationflags=_OWN_GROUP,
            env=environment,
        ) as child,
    ):
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    stdout, stderr = child.communicate(timeout=_POLL_S)
                    break
                interrupts.check()
                if time.monotonic() > deadline_s:
                    raise subprocess.TimeoutExpired(command, timeout_s)
        finally:
            child.kill()
    if child.returncode == IMPORT_FAILED:
        raise explain_end(IMPORT_FAILED, {}, stderr=stderr)
    return subprocess.CompletedProcess(command, child.returncode, stdout, stderr)


def explain_end(
    code: int, marks: Mapping[str, Any], *, stderr: bytes = b""
) -> SemillaError | MemoryError | RuntimeError:
    """The error for a child that ended with ``code``; ``marks`` are those of ``endings.read_marks`` when it started."""
    if code == IMPORT_FAILED:
        cause = (stderr.decode("utf-8", "replace").strip().splitlines() or ["in a child process"])[-1]
        return DependencyError(
            f"a package is missing or broken: {cause}", next_command=suggest_installation()
        )
    ending = name_ending(code)
    if ending is None:
        return RuntimeError(f"a process of the run ended with status {code}")
    if ending == "SIGKILL" and has_killed_since(marks):
        return MemoryError("a process of the run was killed, likely because memory ran out")
    return KilledError(f"a process of the run was killed by {ending}")


def _store(content: bytes) -> IO[bytes]:
    """Write to an unnamed file: ``communicate`` never sends the input that a timeout left unsent."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("semilla"), "w+b")
    else:
        import tempfile  # noqa: PLC0415 - it loads OpenSSL, which would count in the memory of a measured child

        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(content)
    file.seek(0)
    return file
