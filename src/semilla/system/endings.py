"""What ended a process that left no message: a signal, or a kernel that counts its out-of-memory kills (Linux only)."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FAULTS = {
    0xC0000005: "an access violation",
    0xC000001D: "an illegal instruction",
    0xC00000FD: "a stack overflow",
    0xC0000409: "a failed check of its own",
}
"""Exit codes with which Windows ends a process that failed (NTSTATUS)."""


ORDERS = {"SIGHUP", "SIGINT", "SIGKILL", "SIGTERM"}
"""Signals that somebody sends, or the kernel when memory runs out. Any other is the process's own failure."""


SILENT = "it crashed, was killed, or had no disk space left to record its end"


def name_ending(code: int) -> str | None:
    """What ended a child process with this return code, such as ``SIGILL``; None when it ended by itself."""
    if code < 0:
        try:
            return signal.Signals(-code).name
        except ValueError:  # a real-time signal
            return f"signal {-code}"
    return FAULTS.get(code)


def read_marks() -> dict[str, Any]:
    """Read what later explains a silent death: the identity of this boot, and the kernel's count of OOM kills."""
    marks: dict[str, Any] = {}
    with suppress(OSError):
        marks["boot_id"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
        marks["oom_kills"] = next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return marks


def has_killed_since(before: Mapping[str, Any]) -> bool:
    """Return whether the kernel has killed a process because memory ran out, since ``before`` was read."""
    now, names = read_marks(), ("boot_id", "oom_kills")
    if not all(name in marks for name in names for marks in (before, now)):
        return False
    return bool(before["boot_id"] == now["boot_id"] and before["oom_kills"] != now["oom_kills"])


def explain_vanishing(before: Mapping[str, Any]) -> tuple[str, bool]:
    """Say what most likely ended a process that read the marks ``before``, and whether it ran out of memory.

    A killed process leaves no message, but the kernel counts its OOM kills. Without its count, memory is not blamed.
    """
    now = read_marks()
    if has_killed_since(before):
        return "it was killed, likely because memory ran out", True
    if "boot_id" not in before or "oom_kills" not in before or before.keys() != now.keys():
        return SILENT, False
    if before["boot_id"] != now["boot_id"]:
        return "the machine was restarted or lost power", False
    return f"{SILENT}; memory did not run out", False
