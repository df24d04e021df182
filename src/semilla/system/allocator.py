"""Make the C library keep freed memory instead of returning it to the kernel.

Otherwise every large temporary tensor is a fresh mapping whose pages the kernel has to zero. Measured on two cores, a
textbook training loop ran 1.5 times as fast with this. Huge pages (2 MB instead of 4 KB) saved another 5 % of a step.
"""

from __future__ import annotations

import ctypes
from typing import Any

from semilla.system.memory import has_address_limit

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_MADV_HUGEPAGE = 14
_DEFAULTS = {_M_MMAP_MAX: 65536, _M_TRIM_THRESHOLD: 128 << 10, _M_TOP_PAD: 128 << 10}
HUGE_PAGE = 2 << 20
HUGE_HEAP = 512 << 20
"""How much of the heap may use huge pages: more than training needs at the default shape."""


def keep_freed_blocks() -> bool:
    """Make malloc serve every block from the heap and never shrink it; False if the C library cannot do that."""
    libc = _open_libc()
    options = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 << 20, _M_ARENA_MAX: 1}
    is_kept = libc is not None and all(libc.mallopt(option, value) for option, value in options.items())
    # The block is freed at once and never touched: it grows the heap's address range and takes no memory. Where
    # addresses count as memory, nothing else could use them.
    if libc is not None and not has_address_limit() and (block := libc.malloc(ctypes.c_size_t(HUGE_HEAP))):
        start = -(-block // HUGE_PAGE) * HUGE_PAGE
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(HUGE_HEAP - HUGE_PAGE), _MADV_HUGEPAGE)
        libc.free(ctypes.c_void_p(block))
    return is_kept


def return_freed_blocks() -> None:
    """Undo ``keep_freed_blocks``, and give freed memory back: before the validation, or after much text was cleaned."""
    libc = _open_libc()
    if libc is not None:
        for option, value in _DEFAULTS.items():
            libc.mallopt(option, value)
        libc.malloc_trim(0)


def _open_libc() -> Any | None:
    """Return the C library if its malloc has these options, which are glibc's."""
    try:
        libc = ctypes.CDLL(None)
        _ = libc.mallopt, libc.malloc_trim, libc.madvise
    except (AttributeError, OSError, TypeError):
        return None
    libc.malloc.restype = ctypes.c_void_p
    return libc
