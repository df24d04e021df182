"""How much memory this process can use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil

if sys.platform != "win32":
    import resource

CGROUP_ROOT = Path("/sys/fs/cgroup")


def measure_available_mb() -> float:
    """Return the memory this process can use in MiB, including what it already holds.

    A limit on addresses also counts the libraries of torch, of which training reads only a part. Limits on a process
    (Linux, macOS) and of control groups (Linux) are observed; Windows has neither here.
    """
    held = psutil.Process().memory_info().rss
    free = min(psutil.virtual_memory().available, *_list_cgroup_free(), 2**60)
    limits = _read_limits()
    if "RLIMIT_AS" in limits:
        limits["RLIMIT_AS"] -= sum(path.stat().st_size for path in _list_torch_libraries())
    return max(0, min(free + held, *limits.values(), 2**60)) / 2**20


def has_address_limit() -> bool:
    """Return whether memory counts as soon as it has an address, before it is used."""
    return bool(_read_limits())


def has_cuda_build() -> bool:
    """Return whether the installed torch is a build with CUDA, found without importing it."""
    return any(path.name == "libtorch_cuda.so" for path in _list_torch_libraries())


def _read_limits() -> dict[str, int]:
    if sys.platform == "win32":
        return {}
    else:  # noqa: RET505 - for mypy, which knows no resource on Windows
        kinds = {"RLIMIT_AS": resource.RLIMIT_AS, "RLIMIT_DATA": resource.RLIMIT_DATA}
        limits = {name: resource.getrlimit(kind)[0] for name, kind in kinds.items()}
        return {name: limit for name, limit in limits.items() if limit != resource.RLIM_INFINITY}


def _list_torch_libraries() -> list[Path]:
    spec = find_spec("torch")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    patterns = ("torch/lib/*.so*", "nvidia/*/lib/*.so*")
    return [path for folder in folders for pattern in patterns for path in folder.parent.glob(pattern)]


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
