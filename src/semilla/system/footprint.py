"""How much memory a process holds. psutil is imported only where /proc does not say: it would count itself."""

from __future__ import annotations

import sys
from pathlib import Path

_SELF = Path("/proc/self/status")
_MIB = 2**20


def read_memory_mb() -> tuple[float, float]:
    """Resident and peak memory of this process in MiB.

    Linux: from /proc, because getrusage's peak may include the parent's. macOS: getrusage. Windows: the peak of the
    working set.
    """
    try:
        status = _SELF.read_text(encoding="ascii", errors="replace")
        sizes_kb = {
            line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith("Vm")
        }
        return sizes_kb["VmRSS"] / 1024, sizes_kb["VmHWM"] / 1024
    except (OSError, KeyError):
        return _ask_psutil()


def _ask_psutil() -> tuple[float, float]:
    import psutil  # noqa: PLC0415

    memory = psutil.Process().memory_info()
    rss_mb = memory.rss / _MIB
    if sys.platform == "win32":
        return rss_mb, getattr(memory, "peak_wset", memory.rss) / _MIB
    import resource  # noqa: PLC0415 - imported only without /proc, to keep the process small

    unit = _MIB if sys.platform == "darwin" else 2**10  # bytes on macOS, KiB elsewhere
    return rss_mb, max(rss_mb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def read_private_mb(process_id: int) -> float:
    """Resident memory in MiB that a process shares with no other. Without /proc: what only it holds (psutil's USS)."""
    try:
        lines = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))
    except (OSError, StopIteration):
        import psutil  # noqa: PLC0415

        return float(psutil.Process(process_id).memory_full_info().uss) / _MIB
