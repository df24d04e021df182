"""What a run is doing right now, for ``semilla status --watch``: one line in a file of its own.

The line is written about once a second and never synced. It carries a checksum, so a reader ignores one that is half
written. The file is removed when the run ends. One left by a killed run is ignored, because nothing holds the lock.
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

from semilla.errors import SemillaError, from_os_error
from semilla.events import (
    Activity,
    EpochDone,
    Event,
    PhaseFinished,
    PhaseStarted,
    Resumed,
    StepDone,
    Transferred,
)
from semilla.records import names
from semilla.records.disk import open_own
from semilla.records.files import remove_file
from semilla.system.storage import write_at_start

BEAT_S = 1.0
"""Shortest time between two lines."""
MAX_BYTES = 4096
"""A line fits in one page."""
KEPT_LOSSES = 60
"""Enough for a curve as wide as a terminal draws it."""


class Trace:
    """The course of a value as at most ``2 * KEPT_LOSSES`` means, however long the run is."""

    def __init__(self) -> None:
        self.means: list[float] = []
        self._steps_per_mean = 1
        self._sum = 0.0
        self._count = 0

    def add_resumed(self, event: Resumed) -> None:
        """Add the means of earlier attempts, so that the curve goes on."""
        for num_steps, loss in event.losses:
            for _ in range(num_steps):
                self.add(loss)

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
    activity: str = ""


class Heartbeat:
    """A listener that keeps the line current."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._last_s = -BEAT_S
        self._trace = Trace()
        self._step: StepDone | None = None
        self._transfer: Transferred | None = None
        self._activity = ""

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted() | PhaseFinished():
                self._step = self._transfer = None
                self._activity = ""
                self._write()
            case Activity(text):
                self._activity = text
                self._write()
            case Resumed():
                self._trace.add_resumed(event)
            case EpochDone():
                self._activity = ""
            case StepDone(loss=loss):
                self._step, self._activity = event, ""
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
        line = json.dumps(asdict(Beat(self._step, self._transfer, losses, self._activity))).encode()
        content = b"%08x %s\n" % (zlib.crc32(line), line)
        if len(content) <= MAX_BYTES:
            with suppress(OSError):  # a full disk is reported by the writer of artifacts
                write_at_start(self._descriptor, content)


@contextmanager
def open_heartbeat(directory: Path) -> Iterator[Heartbeat]:
    """Keep the heartbeat of a directory whose lock the caller holds."""
    path = directory / names.HEARTBEAT
    try:
        descriptor = open_own(str(path), os.O_WRONLY | os.O_CREAT)
        os.ftruncate(descriptor, 0)
    except OSError as error:
        raise from_os_error(error, path) from error
    try:
        yield Heartbeat(descriptor)
    finally:
        os.close(descriptor)
        with suppress(SemillaError):
            remove_file(path)


def read_heartbeat(directory: Path) -> Beat | None:
    """Read a run's last line; None when there is none, or it is not complete."""
    try:
        with open(directory / names.HEARTBEAT, "rb", opener=open_own) as file:
            digest, _, line = file.read(MAX_BYTES).partition(b"\n")[0].partition(b" ")
        if int(digest, 16) != zlib.crc32(line):
            return None
        content = json.loads(line)
        step, transfer = content["step"], content["transfer"]
        return Beat(
            StepDone(**step) if step else None,
            Transferred(**transfer) if transfer else None,
            tuple(map(float, content["losses"])),
            str(content["activity"]),
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
