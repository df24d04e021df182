"""Make the C library keep freed memory instead of returning it to the kernel.

Otherwise every large temporary tensor is a fresh mapping whose pages the kernel has to zero. Measured on two cores, a
textbook training loop ran 1.5 times as fast with this. Huge pages (2 MB instead of 4 KB) saved another 5 % of a step.
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
"""How much of the heap may use huge pages: more than training needs at the default shape."""


def keep_freed_blocks() -> bool:
    """Make malloc serve every block from the heap and never shrink it; False if the C library cannot do that."""
    try:
        libc = ctypes.CDLL(None)
        mallopt, malloc, free, madvise = libc.mallopt, libc.malloc, libc.free, libc.madvise
    except (AttributeError, OSError, TypeError):
        return False
    options = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 << 20, _M_ARENA_MAX: 1}
    is_kept = all(mallopt(option, value) for option, value in options.items())
    malloc.restype = ctypes.c_void_p
    # The block is freed at once and never touched: it grows the heap's address range and takes no memory.
    if block := malloc(ctypes.c_size_t(HUGE_HEAP)):
        start = -(-block // HUGE_PAGE) * HUGE_PAGE
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(HUGE_HEAP - HUGE_PAGE), _MADV_HUGEPAGE)
        free(ctypes.c_void_p(block))
    return is_kept
