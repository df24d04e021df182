"""How much memory this process can use."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUP_ROOT = Path("/sys/fs/cgroup")


def measure_available_mb() -> float:
    """Return the memory this process can use in MiB, including what it already holds."""
    held = psutil.Process().memory_info().rss
    free = min(psutil.virtual_memory().available, *_list_cgroup_free(), 2**60)
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min(free + held, *(limit for limit in limits if limit != resource.RLIM_INFINITY), 2**60) / 2**20


def _list_cgroup_free() -> Iterator[int]:
    """Free memory in each control group around this process, for both versions of the interface."""
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
    # In a container the path may be the host's; then only the root of the mount is visible.
    folder = root / path.lstrip("/")
    for group in [folder, *folder.parents]:
        if group.is_relative_to(root):
            try:
                free = int((group / limit).read_text()) - int((group / usage).read_text())
                yield free + _read_reclaimable(group)
            except (OSError, ValueError):
                continue  # the file does not exist, or the limit is "max"


def _read_reclaimable(group: Path) -> int:
    """Bytes of file cache that count as used but are freed when memory is needed."""
    for line in (group / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name in {"inactive_file", "total_inactive_file"}:
            return int(value)
    return 0
