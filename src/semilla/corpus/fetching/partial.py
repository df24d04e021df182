"""What has arrived of a file: kept between two requests, so that a cut connection costs only the rest.

A server adds the rest to its own beginning alone: the second request names the strong ETag of the first
(RFC 9110, section 13.1.5), and an answer with another ETag, another place or another length is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

HEAD_BYTES = 1 << 12
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Sink(Protocol):
    """Where bytes go: a draft of the one writer, or memory in a test."""

    def write(self, data: bytes, /) -> object: ...

    def clear(self) -> None: ...


@dataclass
class PartialFile:
    """A file being received into ``file``; ``digest`` and ``head`` cover what is there so far."""

    file: Sink
    size_bytes: int = 0
    total_bytes: int | None = None
    """Size of the whole file as its server told it, None when it did not."""
    head: bytes = b""
    etag: str | None = None
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def range_headers(self) -> dict[str, str]:
        """Ask for the rest where the server gave its file a mark to know it by, else for everything."""
        if not self.etag or not self.size_bytes:
            return {}
        return {"Range": f"bytes={self.size_bytes}-", "If-Range": self.etag}

    def begin(self, headers: Mapping[str, str], *, total_bytes: int | None) -> None:
        """Start with an empty file, as the head of a whole answer describes it."""
        if self.size_bytes:
            self.file.clear()
        self.size_bytes, self.total_bytes, self.head = 0, total_bytes, b""
        self.digest = hashlib.sha256()
        etag = headers.get("ETag", "")
        self.etag = etag if _STRONG_ETAG.fullmatch(etag) else None

    def accepts(self, headers: Mapping[str, str]) -> bool:
        """Tell whether an answer of a part is the rest of this very file; if so, note the size of the whole."""
        place = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if place is None or not self.range_headers or headers.get("ETag") != self.etag:
            return False
        first, last, total = map(int, place.groups())
        is_rest = first == self.size_bytes and last + 1 == total and self.total_bytes in {None, total}
        self.total_bytes = total if is_rest else self.total_bytes
        return is_rest

    def forget(self) -> None:
        """Let the next request ask for everything."""
        self.etag = None

    def add(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.digest.update(chunk)
        self.head += chunk[: HEAD_BYTES - len(self.head)]
        self.size_bytes += len(chunk)
