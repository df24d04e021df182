"""Large files, read through a memory map of which only a part stays resident."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

RESIDENT_BYTES = 16 << 20
"""After reading so much, the pages are given back. The kernel may still have them in its cache."""


class MappedFile:
    """The bytes of a file that is not empty. It stays readable when the name is removed or given to another file."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._num_read = 0

    def __len__(self) -> int:
        return len(self.map)

    def read(self, start: int, end: int) -> bytes:
        """Copy the bytes from ``start`` to ``end``."""
        data = self.map[start:end]
        self.count(len(data))
        return data

    def count(self, num_bytes: int) -> None:
        """Note that so many bytes were read, also through a view of ``map``; they may be given back."""
        self._num_read += num_bytes
        if self._num_read > RESIDENT_BYTES and sys.platform != "win32":
            self.map.madvise(mmap.MADV_DONTNEED)
            self._num_read = 0
