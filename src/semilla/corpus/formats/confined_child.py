"""The child process of ``confined``: limits itself, then answers each file with its documents, a JSON object a line."""

from __future__ import annotations

import io
import json
import resource
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import Any, BinaryIO

from semilla.corpus.formats.extracted import ReadOptions, UnreadableError
from semilla.errors import InvalidCorpusError

MAX_DATA_BYTES = 3 << 30
"""Memory for one file of at most 128 MB and what a reader makes of it."""


def limit_itself() -> None:
    """Limit memory, and forbid to write files. A system without such limits has the parent's."""
    limits = {resource.RLIMIT_DATA: MAX_DATA_BYTES, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for kind, limit in limits.items():
        with suppress(OSError, ValueError):
            _, most = resource.getrlimit(kind)
            allowed = limit if most == resource.RLIM_INFINITY else min(limit, most)
            resource.setrlimit(kind, (allowed, allowed))


def answer(**values: Any) -> None:
    sys.stdout.buffer.write(json.dumps(values).encode() + b"\n")
    sys.stdout.buffer.flush()


class Frames(io.RawIOBase):
    """A file that comes through standard input in blocks, each behind its size in a line; an empty one ends it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._left = -1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left < 0:
            self._left = int(self._source.readline())
        size = self._source.readinto(memoryview(buffer)[: self._left])  # type: ignore[attr-defined]
        self._left = self._left - size or (-1 if size else 0)
        return int(size)


def read_task(task: dict[str, Any], requests: BinaryIO) -> None:
    """Read one file and answer with its documents and their end, or with an error."""
    reader = import_module(task["module"])
    options, name = ReadOptions(**task["options"]), task["name"]
    try:
        if "size" in task:
            found = reader.read(requests.read(task["size"]), options, name=name)
        elif "path" in task:
            found = reader.read_path(task["path"], options, name=name)
        else:
            found = reader.read_stream(io.BufferedReader(Frames(requests)), options, name=name)
        for document in found:
            answer(**asdict(document))
    except UnreadableError as error:
        answer(error=error.message, reason=error.reason, next_command=error.next_command)
    except InvalidCorpusError as error:
        answer(error=error.message, reason="unreadable", next_command=error.next_command)
    except MemoryError:
        answer(error=f"{name} needs too much memory", reason="too large", next_command=None)
    except Exception as error:
        problem = f"{name} cannot be read: {type(error).__name__}: {error}"
        answer(error=" ".join(problem.split())[:1000], reason="unreadable", next_command=None)
    else:
        answer(end=True)


def main() -> None:
    limit_itself()
    requests = sys.stdin.buffer
    while head := requests.readline():
        read_task(json.loads(head), requests)


if __name__ == "__main__":
    main()
