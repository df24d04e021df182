"""How much memory this process can have: the machine's, or less under a control group or a resource limit."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

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
