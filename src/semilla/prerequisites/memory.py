"""Memory: what training will take against what this process may still have."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

from semilla.config import PipelineConfiguration
from semilla.errors import OutOfMemoryError
from semilla.prerequisites.check import Check, fail_check, pass_check
from semilla.settings import to_command
from semilla.training.memory import estimate_training_memory_mb, find_fitting_batch_size

RESERVE = 0.10
"""Share of the available memory that is left to the rest of the machine."""
CGROUP_ROOT = Path("/sys/fs/cgroup")


def check_memory(config: PipelineConfiguration) -> Check:
    need_mb = estimate_training_memory_mb(config)
    budget_mb = measure_available_mb() * (1 - RESERVE)
    found, needed = f"{budget_mb:,.0f} MB (10 % left aside)", f"about {need_mb:,.0f} MB"
    if need_mb <= budget_mb:
        return pass_check("memory", found=found, needed=needed)
    fitting = find_fitting_batch_size(config, budget_mb=budget_mb)
    cause = f"training needs {needed} of memory, available are {found}"
    if fitting is None:
        way_out = "not even one sequence at a time fits: reduce max_sequence_length or the size of the model"
        error = OutOfMemoryError(f"{cause}; {way_out}")
    else:
        batch_size = config.training_hyperparameters.batch_size
        way_out = f"reduce batch_size from {batch_size} to {fitting}, the largest that fits"
        error = OutOfMemoryError(f"{cause}; {way_out}", next_command=to_command(config, batch_size=fitting))
    return fail_check("memory", error, found=found, needed=needed)


def measure_available_mb() -> float:
    """Memory this process can still take in MiB: the machine's, its control group's, its address space's."""
    available = [psutil.virtual_memory().available, *_list_cgroup_rooms()]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        available.append(limit - psutil.Process().memory_info().vms)
    return max(min(available), 0) / 2**20


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
