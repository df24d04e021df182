"""Runs the readers of complex formats in a child process with limits on time, memory and output.

A reader may hang, crash or ask for endless memory when a file is damaged or hostile. Then only that file is left out:
the child is killed, and another one reads the next file. The child cannot write files.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Extracted, ReadOptions, UnreadableError
from semilla.system import interrupts
from semilla.system.children import make_command

TIMEOUT_S = 120.0
"""For one file; a large book takes a few seconds."""
_POLL_S = 0.2
_PIECE_BYTES = 1 << 16
_MAX_OUTPUT_BYTES = 4 * MAX_FILE_BYTES
"""JSON takes up to six bytes for a character."""


class ConfinedReader:
    """Reads files in one child process, which starts with the first and is replaced after a failure."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ConfinedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill the child, if there is one."""
        if self._child is None:
            return
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()
        self._child.wait()
        self._child = None

    def read(self, data: bytes, options: ReadOptions, *, module: str, name: str) -> Iterator[Extracted]:
        """Yield the documents of a file. Raises UnreadableError when the reader fails or passes a limit."""
        task = {"module": module, "name": name, "size": len(data), "options": asdict(options)}
        num_bytes = num_characters = 0
        for document, line in self._receive(task, [data], name=name):
            num_bytes += len(line)
            num_characters += len(document.text)
            if num_bytes > _MAX_OUTPUT_BYTES or num_characters > MAX_FILE_BYTES:
                self.stop()
                raise UnreadableError(
                    f"{name} holds more than {MAX_FILE_BYTES >> 20} MB of text", reason="too large"
                )
            yield document

    def read_stream(
        self, blocks: Iterable[bytes], options: ReadOptions, *, module: str, name: str
    ) -> Iterator[Extracted]:
        """Yield the documents of a file of any size, given in blocks of UTF-8; raises like ``read``."""
        task = {"module": module, "name": name, "options": asdict(options)}
        frames = (b"%d\n%b" % (len(block), block) for block in chain(filter(None, blocks), [b""]))
        yield from (document for document, _ in self._receive(task, frames, name=name))

    def read_path(self, path: Path, options: ReadOptions, *, module: str, name: str) -> Iterator[Extracted]:
        """Yield the documents of a file of any size, which the child opens; raises like ``read``."""
        task = {"module": module, "name": name, "path": str(path.absolute()), "options": asdict(options)}
        yield from (document for document, _ in self._receive(task, [], name=name))

    def _receive(
        self, task: dict[str, Any], sent: Iterable[bytes], *, name: str
    ) -> Iterator[tuple[Extracted, bytes]]:
        """Yield each document with the line that it came as."""
        for line in self._ask(chain([json.dumps(task).encode() + b"\n"], sent), name=name):
            answer: dict[str, Any] = json.loads(line)
            if "error" in answer:
                if answer["reason"] == "too large" or "size" not in task:
                    self.stop()  # what a full memory leaves behind may be broken, and the rest of a stream was not read
                raise UnreadableError(
                    answer["error"], reason=answer["reason"], next_command=answer["next_command"]
                )
            if "end" in answer:
                return
            yield Extracted(**answer), line

    def _ask(self, request: Iterator[bytes], *, name: str) -> Iterator[bytes]:
        """Send a request and yield the lines of the answer. Raises UnreadableError for a child that ends or hangs."""
        child = self._start()
        is_done = False
        try:
            for line in _split_lines(self._exchange(child, request, name=name)):
                is_done = line.startswith((b'{"end"', b'{"error"'))
                yield line
        except BrokenPipeError:
            raise UnreadableError(
                f"{name} cannot be read: its reader ran out of memory or crashed", reason="unreadable"
            ) from None
        finally:
            if not is_done:
                self.stop()

    def _exchange(
        self, child: subprocess.Popen[bytes], request: Iterator[bytes], *, name: str
    ) -> Iterator[bytes]:
        """Write the request while the child takes it, and yield what it writes."""
        assert child.stdin is not None
        assert child.stdout is not None
        unsent = memoryview(next(request))
        deadline_s = time.monotonic() + self.timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            selector.register(child.stdin, selectors.EVENT_WRITE)
            while time.monotonic() <= deadline_s:
                interrupts.check()
                for key, _ in selector.select(_POLL_S):
                    if key.fileobj is child.stdin:
                        unsent = unsent[os.write(child.stdin.fileno(), unsent[:_PIECE_BYTES]) :]
                        if not unsent:
                            unsent = memoryview(next(request, b""))
                        if not unsent:
                            selector.unregister(child.stdin)
                    else:
                        piece = os.read(child.stdout.fileno(), _PIECE_BYTES)
                        if not piece:
                            raise BrokenPipeError
                        yield piece
                    deadline_s = time.monotonic() + self.timeout_s
        raise UnreadableError(f"{name} takes longer than {self.timeout_s:g} s to read", reason="too large")

    def _start(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.stop()
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                make_command("semilla.corpus.formats.confined_child"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
            assert self._child.stdin is not None
            os.set_blocking(self._child.stdin.fileno(), False)
        return self._child


def _split_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    for piece in pieces:
        first, *others = piece.split(b"\n")
        gathered.append(first)
        for other in others:
            yield b"".join(gathered)
            gathered = [other]
