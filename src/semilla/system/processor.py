"""The processor: how many cores this process may use, its name, and instructions that packages need."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
_FIRST_BYTES = 16 << 10
"""Enough for one processor; the kernel takes time to describe hundreds."""
_AT_HWCAP = 16
_HWCAP_ATOMICS = 1 << 8
_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
"""Part numbers of processors by ARM itself (implementer 0x41), from its technical reference manuals."""


def count_cores() -> int:
    """Processors that this process may use; on macOS, which assigns none to processes, all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_processor_name() -> str:
    """Model name of the processor, such as ``AMD EPYC 7713 64-Core Processor`` or ``ARM Cortex-A76``. Never empty."""
    if sys.platform == "darwin":
        import subprocess  # noqa: PLC0415 - not needed elsewhere

        with suppress(OSError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=10)  # noqa: S603
            return name.stdout.strip()
    fields = _read_first_processor()
    if "model name" in fields:
        return fields["model name"]
    if "CPU part" in fields:
        part, maker = fields["CPU part"], fields.get("CPU implementer", "unknown")
        return (
            f"ARM {_ARM_PARTS.get(part, part)}" if maker == "0x41" else f"ARM {part} of implementer {maker}"
        )
    return platform.processor() or platform.machine() or "unknown"


def list_instruction_sets() -> set[str]:
    """Names of the instruction sets that /proc/cpuinfo lists; empty where there is no such file."""
    fields = _read_first_processor()
    return {*fields.get("flags", "").split(), *fields.get("Features", "").split()}


def lacks_core_instructions() -> bool:
    """Return whether this is an x86 without SSE4.2, for which NumPy and ONNX Runtime are not built."""
    is_x86 = platform.machine().lower() in {"x86_64", "amd64", "i686"}
    sets = list_instruction_sets() if is_x86 else set()
    return bool(sets) and "sse4_2" not in sets


def can_run_threads() -> bool:
    """Return whether torch may use several threads in one process.

    Its ARM build uses atomic instructions of ARMv8.1 between threads. A Cortex-A72, as in a Raspberry Pi 4, has none,
    and the process would die of SIGILL.
    """
    if platform.machine() != "aarch64":
        return True
    import ctypes  # noqa: PLC0415 - not needed elsewhere

    with suppress(AttributeError, OSError):
        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return bool(getauxval(_AT_HWCAP) & _HWCAP_ATOMICS)
    return True


def _read_first_processor() -> dict[str, str]:
    """What /proc/cpuinfo says about the first processor; the others are alike, as far as is asked here."""
    try:
        with CPUINFO.open("rb") as file:
            text = file.read(_FIRST_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    lines = [line.partition(":") for line in text.strip().split("\n\n")[0].splitlines()]
    return {name.strip(): value.strip() for name, _, value in lines}
