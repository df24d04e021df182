"""Does the model run where memory is short? Tried in a process that the kernel holds to a limit.

    python -m semilla.runtime.limits LIMIT_MB GROUP BUNDLE

generates a text longer than the context inside the control group GROUP, or without one (-) under RLIMIT_DATA.
A control group counts what is resident, the files of programs included as far as no other process has read them;
RLIMIT_DATA counts what a process may write to, whether it has or not. MB are MiB.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from semilla.runtime.child import run_child

LIMITS_MB = (128, 256, 512)
"""Tried in turn; the last is the budget of the specification."""

TIMEOUT_S = 600
HIERARCHIES = {
    "cgroup v1": (Path("/sys/fs/cgroup/memory"), "memory", {"memory.limit_in_bytes": "{}"}),
    "cgroup v2": (Path("/sys/fs/cgroup"), "", {"memory.max": "{}", "memory.swap.max": "0"}),
}
"""Name -> where it is mounted, the controller /proc/self/cgroup lists it under, and the files that limit a group."""


def find_limit(bundle_path: Path, *, limits_mb: Sequence[int] = LIMITS_MB) -> dict[str, Any]:
    """Find the first of ``limits_mb`` the model runs under: ``limit_mb``, None when under none; ``limited_by``."""
    found: dict[str, Any] = {"limit_mb": None, "limited_by": ""}
    for limit_mb in limits_mb:
        with open_group(limit_mb) as (found["limited_by"], group):
            arguments = [str(limit_mb), str(group or "-"), str(bundle_path)]
            child = run_child("semilla.runtime.limits", arguments, timeout_s=TIMEOUT_S)
        if child.returncode == 0:
            return {**found, "limit_mb": limit_mb}
    return found


@contextmanager
def open_group(limit_mb: int) -> Iterator[tuple[str, Path | None]]:
    """Make a control group with the limit where that is allowed; its name in words, and its folder."""
    for name, (mount, controller, limits) in HIERARCHIES.items():
        group = _find_place(mount, controller) / f"semilla-{os.getpid()}"
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


def _find_place(mount: Path, controller: str) -> Path:
    """Folder of the group this process is in; the root of the hierarchy where that is not to be seen from here."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if controller in controllers.split(",") and (mount / place.lstrip("/")).is_dir():
                return mount / place.lstrip("/")
    return mount


def enforce(limit_mb: int, group: Path | None) -> None:
    """Hold this process to the limit from here on."""
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        return
    import resource  # noqa: PLC0415 - not on every system

    resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * 2**20, limit_mb * 2**20))


def main(arguments: Sequence[str]) -> None:
    limit_mb, group, bundle = arguments
    enforce(int(limit_mb), None if group == "-" else Path(group))
    from semilla.runtime.session import load  # noqa: PLC0415 - loading the runtime is part of what is tried

    model = load(Path(bundle))
    model.generate(seed=0, max_tokens=model.bundle.model["max_position_embeddings"] + 50)


if __name__ == "__main__":
    main(sys.argv[1:])
