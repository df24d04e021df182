"""On which system this runs, and what is known about Semilla there."""

from __future__ import annotations

import platform
import sys

TESTED = {("linux", "x86_64")}
"""Systems and machines on which every test runs."""
BUILT_FOR = {("linux", "aarch64"), ("darwin", "arm64"), ("win32", "x86_64")}
"""The code has branches for these, and all packages have builds. They were emulated or simulated, and not run yet."""
_SYSTEMS = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}
_MACHINES = {"amd64": "x86_64"}


def describe_platform() -> str:
    """Name the system and the machine, and say what is known: ``macOS arm64 (built for it, not run there yet)``."""
    system, machine = _identify()
    if (system, machine) in TESTED:
        known = "tested"
    else:
        known = "built for it, not run there yet" if (system, machine) in BUILT_FOR else "not supported"
    return f"{_SYSTEMS.get(system, system)} {machine} ({known})"


def is_supported() -> bool:
    """Return whether the code was written with this system and machine in mind."""
    return _identify() in TESTED | BUILT_FOR


def _identify() -> tuple[str, str]:
    machine = platform.machine().lower() or "unknown machine"
    return sys.platform, _MACHINES.get(machine, machine)
