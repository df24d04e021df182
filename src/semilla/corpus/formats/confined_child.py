"""The child process of ``confined``: limits itself, then answers each file with its documents, a JSON object a line."""

from __future__ import annotations

import json
import resource
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from typing import Any

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


def read_task(task: dict[str, Any], data: bytes) -> None:
    """Read one file and answer with its documents and their end, or with an error."""
    reader = import_module(task["module"])
    try:
        for document in reader.read(data, ReadOptions(**task["options"]), name=task["name"]):
            answer(**asdict(document))
    except UnreadableError as error:
        answer(error=error.message, reason=error.reason, next_command=error.next_command)
    except InvalidCorpusError as error:
        answer(error=error.message, reason="unreadable", next_command=error.next_command)
    except MemoryError:
        answer(error=f"{task['name']} needs too much memory", reason="too large", next_command=None)
    except Exception as error:
        problem = f"{task['name']} cannot be read: {type(error).__name__}: {error}"
        answer(error=" ".join(problem.split())[:1000], reason="unreadable", next_command=None)
    else:
        answer(end=True)


def main() -> None:
    limit_itself()
    requests = sys.stdin.buffer
    while head := requests.readline():
        task = json.loads(head)
        read_task(task, requests.read(task["size"]))


if __name__ == "__main__":
    main()
