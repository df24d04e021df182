"""Runs a Python module under a memory limit that the kernel enforces.

    python -m semilla.system.memory_limit LIMIT_MB GROUP MODULE ARGUMENTS...

limits itself to LIMIT_MB, through the control group GROUP or, where that is ``-``, through RLIMIT_DATA, and then runs
MODULE. A control group counts resident memory, including file pages that no other process has read. RLIMIT_DATA
counts writable memory, used or not; only Linux enforces it. Elsewhere nothing can enforce a limit. MB are MiB.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

HIERARCHIES = {
    "cgroup v1": (Path("/sys/fs/cgroup/memory"), "memory", {"memory.limit_in_bytes": "{}"}),
    "cgroup v2": (Path("/sys/fs/cgroup"), "", {"memory.max": "{}", "memory.swap.max": "0"}),
}
"""Name -> mount point, the controller's name in /proc/self/cgroup, and the files that limit a group."""


def can_limit() -> bool:
    """Return whether this system enforces a limit of memory."""
    return sys.platform == "linux"


@contextmanager
def open_group(limit_mb: int) -> Iterator[tuple[str, Path | None]]:
    """Make a control group with the limit, where that is allowed: the name of the mechanism, and the group's folder."""
    for name, (mount, controller, limits) in HIERARCHIES.items():
        group = find_own_group(mount, controller) / f"semilla-{os.getpid()}"
        try:
            group.mkdir()
            for file, value in limits.items():
                if not (group / file).exists():
                    raise FileNotFoundError(group / file)
                (group / file).write_text(value.format(limit_mb * 2**20))
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        try:
            yield name, group
        finally:
            with suppress(OSError):
                group.rmdir()
        return
    yield "RLIMIT_DATA", None


def find_own_group(mount: Path, controller: str) -> Path:
    """Folder of the group this process is in, or the root of the hierarchy where a container hides it."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if controller in controllers.split(",") and (mount / place.lstrip("/")).is_dir():
                return mount / place.lstrip("/")
    return mount


def limit_this_process(limit_mb: int, group: Path | None) -> None:
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        return
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - not on every system

        resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * 2**20, limit_mb * 2**20))


def main(arguments: Sequence[str]) -> None:
    limit_mb, group, module, *rest = arguments
    limit_this_process(int(limit_mb), None if group == "-" else Path(group))
    sys.argv[1:] = rest
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
