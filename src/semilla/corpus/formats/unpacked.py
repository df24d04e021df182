"""Opens a large file as its bytes, or as those of the file inside a .gz or .zst."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import IO

from semilla.corpus.formats.extracted import UnreadableError
from semilla.corpus.formats.known import GZIP, ZSTANDARD, find_format
from semilla.corpus.formats.packed import MAX_UNPACKED_BYTES, name_inside, unpack_zstandard
from semilla.installation import list_missing

HEAD_BYTES = 1 << 16
_SAMPLED_BYTES = 4 << 20
MAX_RATIO = 100
"""A file that unpacks to more than MAX_UNPACKED_BYTES may do so to this many times its size. Texts reach 3 to 30."""


class Source:
    """A file that can be read again from its beginning; ``name`` is that of the file inside, if there is one."""

    def __init__(self, file: IO[bytes], *, name: str) -> None:
        self._file = file
        self._packed_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        packing = find_format(name, file.read(HEAD_BYTES))
        self._packing = (
            packing if packing in {GZIP, ZSTANDARD} and not list_missing(packing.packages) else None
        )
        self._packed_name = name
        self.name = name_inside(name) if self._packing else name

    @property
    def is_packed(self) -> bool:
        return self._packing is not None

    def read_head(self) -> bytes:
        """The first 64 kB, or a little more."""
        return next(self.read_blocks(HEAD_BYTES), b"")

    def is_larger(self, size_bytes: int) -> bool:
        """Return whether there are more bytes than this, unpacked."""
        if not self._packing:
            return self._packed_bytes > size_bytes
        num_bytes = 0
        return any(
            (num_bytes := num_bytes + len(block)) > size_bytes for block in self.read_blocks(HEAD_BYTES)
        )

    def estimate_bytes(self) -> int:
        """About how many bytes there are, unpacked, from the first megabytes. Raises UnreadableError if damaged."""
        if not self._packing:
            return self._packed_bytes
        num_bytes = 0
        for block in self.read_blocks(HEAD_BYTES):
            num_bytes += len(block)
            if num_bytes >= _SAMPLED_BYTES:
                return round(num_bytes * self._packed_bytes / self._file.tell())
        return num_bytes

    def read_blocks(self, size_bytes: int) -> Iterator[bytes]:
        """Read from the beginning, about so many bytes at a time. Raises UnreadableError for a damaged archive."""
        self._file.seek(0)
        if self._packing is None:
            yield from iter(lambda: self._file.read(size_bytes), b"")
            return
        try:
            yield from self._limit(_gather(self._unpack(size_bytes), size_bytes))
        except UnreadableError:
            raise
        except Exception as error:  # the modules raise several kinds for damaged files
            raise UnreadableError(
                f"{self._packed_name} is a {self._packing.name} that is damaged: {error}", reason="unreadable"
            ) from error

    def _unpack(self, size_bytes: int) -> Iterator[bytes]:
        if self._packing is ZSTANDARD:
            yield from unpack_zstandard(self._file)
        else:
            with gzip.GzipFile(fileobj=self._file, mode="rb") as file:
                yield from iter(lambda: file.read(size_bytes), b"")

    def _limit(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The blocks of an archive, unless it is a bomb."""
        most_bytes = max(MAX_UNPACKED_BYTES, MAX_RATIO * self._packed_bytes)
        num_bytes = 0
        for block in blocks:
            num_bytes += len(block)
            if num_bytes > most_bytes:
                raise UnreadableError(
                    f"{self._packed_name} unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB and more than "
                    f"{MAX_RATIO} times its size: unpack it yourself, and give the file",
                    reason="too large",
                )
            yield block


def _gather(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """Join small pieces to blocks of ``size_bytes`` or more."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= size_bytes:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
