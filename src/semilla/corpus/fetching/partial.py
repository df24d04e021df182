"""A file that is arriving. It survives a cut connection, so that the next request asks only for the rest.

The next request names the strong ETag of the first answer (RFC 9110, section 13.1.5). An answer with another ETag,
position or length is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

HEAD_BYTES = 1 << 12
TAIL_BYTES = 1 << 16
"""The licence after the end of a book is about 19,000 bytes long."""
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Sink(Protocol):
    """Where the bytes go: a draft of ``records.files``, or memory in a test."""

    def write(self, data: bytes, /) -> object: ...

    def clear(self) -> None: ...


@dataclass
class PartialFile:
    """A file being received into ``file``. ``digest``, ``head`` and ``tail`` describe the bytes received so far."""

    file: Sink
    size_bytes: int = 0
    total_bytes: int | None = None
    """Size of the whole file as the server announced it, None if it did not."""
    shows_its_end: bool = True
    """Whether a cut would be noticed: the server announced the size, or sends chunks, the last of which is marked."""
    head: bytes = b""
    tail: bytes = b""
    etag: str | None = None
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def range_headers(self) -> dict[str, str]:
        """Headers that ask for the rest of the file; none when the server gave no strong ETag."""
        if not self.etag or not self.size_bytes:
            return {}
        return {"Range": f"bytes={self.size_bytes}-", "If-Range": self.etag}

    def begin(self, headers: Mapping[str, str], *, total_bytes: int | None) -> None:
        """Start over with an empty file, as the headers of a complete answer describe it."""
        if self.size_bytes:
            self.file.clear()
        self.size_bytes, self.total_bytes, self.head, self.tail = 0, total_bytes, b"", b""
        is_chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self.shows_its_end = total_bytes is not None or is_chunked
        self.digest = hashlib.sha256()
        etag = headers.get("ETag", "")
        self.etag = etag if _STRONG_ETAG.fullmatch(etag) else None

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Return whether a partial answer is the rest of this file; if so, note the size of the whole."""
        content_range = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if content_range is None or not self.range_headers or headers.get("ETag") != self.etag:
            return False
        first, last, total = map(int, content_range.groups())
        is_rest = first == self.size_bytes and last + 1 == total and self.total_bytes in {None, total}
        self.total_bytes = total if is_rest else self.total_bytes
        return is_rest

    def forget(self) -> None:
        """Make the next request ask for the whole file."""
        self.etag = None

    def add(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.digest.update(chunk)
        self.head += chunk[: HEAD_BYTES - len(self.head)]
        self.tail = (self.tail + chunk)[-TAIL_BYTES:]
        self.size_bytes += len(chunk)
