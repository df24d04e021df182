"""Ask the C library to keep freed blocks: returning and refetching them costs more than the arithmetic in between.

Measured on two cores: a textbook loop ran 1.5 times as fast for it, because every large temporary tensor was otherwise
a fresh mapping whose pages the kernel had to zero. Pages of 2 MB instead of 4 KB make a step 5 % faster still.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_MADV_HUGEPAGE = 14
HUGE_PAGE = 2 << 20
HUGE_HEAP = 512 << 20
"""How much of the heap is in huge pages, once it is used: more than training takes at the default shape."""


def keep_freed_blocks() -> bool:
    """Let malloc serve every block from the heap and never shrink it; False where the C library has no such knob."""
    try:
        libc = ctypes.CDLL(None)
        mallopt, malloc, free, madvise = libc.mallopt, libc.malloc, libc.free, libc.madvise
    except (AttributeError, OSError, TypeError):
        return False
    wanted = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 << 20, _M_ARENA_MAX: 1}
    is_kept = all(mallopt(knob, value) for knob, value in wanted.items())
    malloc.restype = ctypes.c_void_p
    # The block is given back at once and never touched: it makes room in the heap, and takes no memory.
    if block := malloc(ctypes.c_size_t(HUGE_HEAP)):
        start = -(-block // HUGE_PAGE) * HUGE_PAGE
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(HUGE_HEAP - HUGE_PAGE), _MADV_HUGEPAGE)
        free(ctypes.c_void_p(block))
    return is_kept
