"""The machine below: how much memory this process can have, and what became of one that vanished."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")


def measure_available_mb() -> float:
    """Memory this process can have in MiB, what it holds already included."""
    held = psutil.Process().memory_info().rss
    rooms = [psutil.virtual_memory().available, *_list_cgroup_rooms()]
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return (
        min(min(rooms) + held, *(limit for limit in limits if limit != resource.RLIM_INFINITY), 2**60) / 2**20
    )


def _list_cgroup_rooms() -> Iterator[int]:
    """Room left in each control group around this process, both versions of the interface."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _climb(CGROUP_ROOT, path, limit="memory.max", usage="memory.current")
        elif "memory" in controllers.split(","):
            root = CGROUP_ROOT / "memory"
            yield from _climb(root, path, limit="memory.limit_in_bytes", usage="memory.usage_in_bytes")


def _climb(root: Path, path: str, *, limit: str, usage: str) -> Iterator[int]:
    # In a container the path may be the host's, and only the root of the mount is visible.
    folder = root / path.lstrip("/")
    for group in [folder, *folder.parents]:
        if group.is_relative_to(root):
            try:
                room = int((group / limit).read_text()) - int((group / usage).read_text())
                yield room + _read_reclaimable(group)
            except (OSError, ValueError):
                continue  # no such file here, or the limit is "max"


def _read_reclaimable(group: Path) -> int:
    """Bytes of file cache that count as used but make way when memory is wanted."""
    for line in (group / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"}:
            return int(value)
    return 0


def read_marks() -> dict[str, Any]:
    """What tells later why a process ended without a word: the machine's start, and how often memory ran out."""
    marks: dict[str, Any] = {}
    with suppress(OSError):
        marks["boot_id"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
        marks["oom_kills"] = next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return marks


def explain_vanishing(before: Mapping[str, Any]) -> tuple[str, bool]:
    """Say what most likely ended a process that read the marks ``before``; True when it was want of memory.

    Killed processes leave no message; but the kernel counts those that it killed for memory.
    """
    now = read_marks()
    if {"boot_id", "oom_kills"} - now.keys() or before.keys() != now.keys():
        return "it crashed or was killed, likely because memory ran out", True
    if before["boot_id"] != now["boot_id"]:
        return "the machine was restarted or lost its power", False
    if before["oom_kills"] != now["oom_kills"]:
        return "it was killed, likely because memory ran out", True
    return "it crashed or was killed; not by the kernel for want of memory", False
