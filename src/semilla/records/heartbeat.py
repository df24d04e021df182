"""Where a run is between two records: a line in the lock file, for whoever watches from another terminal.

Nothing here is durable or has to be: the line lives as long as the lock does, costs no sync, and a reader that meets it
half written takes none. What must survive stands in the status and the metrics.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semilla.errors import from_os_error
from semilla.events import Event, PhaseFinished, PhaseStarted, StepDone, Transferred
from semilla.records import names

BEAT_S = 1.0
"""Between two lines at least."""
PLACE_BYTES = 512
"""Where the line begins: behind what the lock file says of its holder."""
SIZE_BYTES = 4096 - PLACE_BYTES
"""The line keeps to one page of the file."""
KEPT_LOSSES = 60
"""Enough for a line as wide as a terminal draws it."""


class Trace:
    """The course of a value in at most ``2 * KEPT_LOSSES`` means, however long it is followed."""

    def __init__(self) -> None:
        self.means: list[float] = []
        self._steps_per_mean = 1
        self._sum = 0.0
        self._count = 0

    def add(self, value: float) -> None:
        self._sum += value
        self._count += 1
        if self._count < self._steps_per_mean:
            return
        self.means.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
        if len(self.means) == 2 * KEPT_LOSSES:
            self.means = [(one + other) / 2 for one, other in zip(*[iter(self.means)] * 2, strict=True)]
            self._steps_per_mean *= 2


@dataclass(frozen=True)
class Beat:
    """What a run was doing a moment ago; ``losses`` are means over equal numbers of steps."""

    step: StepDone | None = None
    transfer: Transferred | None = None
    losses: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Pulse:
    """A listener that keeps the line current."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._last_s = -BEAT_S
        self._trace = Trace()
        self._step: StepDone | None = None
        self._transfer: Transferred | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted() | PhaseFinished():
                self._step = self._transfer = None
                self._write()
            case StepDone(loss=loss):
                self._step = event
                self._trace.add(loss)
                self._write_if_due()
            case Transferred():
                self._transfer = event
                self._write_if_due()
            case _:
                pass

    def _write_if_due(self) -> None:
        if time.monotonic() - self._last_s >= BEAT_S:
            self._write()

    def _write(self) -> None:
        self._last_s = time.monotonic()
        losses = tuple(round(loss, 4) for loss in self._trace.means)
        line = json.dumps(Beat(self._step, self._transfer, losses).as_json()).encode()
        # A reader may come between two bytes: the checksum tells.
        content = b"%08x %s\n" % (zlib.crc32(line), line)
        if len(content) <= SIZE_BYTES:
            with suppress(OSError):  # a full disk; the run has better places to say so
                os.pwrite(self._descriptor, content, PLACE_BYTES)


@contextmanager
def open_pulse(directory: Path) -> Iterator[Pulse]:
    """A pulse in the lock file of a directory that the caller holds."""
    path = directory / names.LOCK
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError as error:
        raise from_os_error(error, path) from error
    try:
        yield Pulse(descriptor)
    finally:
        os.close(descriptor)


def read_beat(directory: Path) -> Beat | None:
    """The last line of a run; None where there is none, or none whole."""
    try:
        with (directory / names.LOCK).open("rb") as file:
            file.seek(PLACE_BYTES)
            digest, _, line = file.read(SIZE_BYTES).partition(b"\n")[0].partition(b" ")
    except OSError:
        return None
    try:
        if int(digest, 16) != zlib.crc32(line):
            return None
        content = json.loads(line)
        step, transfer = content["step"], content["transfer"]
        return Beat(
            StepDone(**step) if step else None,
            Transferred(**transfer) if transfer else None,
            tuple(map(float, content["losses"])),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
