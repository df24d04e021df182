"""Trackers: listeners that pass a run's figures to a program that draws them. None is on by default.

A tracker is any callable that takes the events of ``semilla.events``; ``semilla.run(config, listeners=[mine])`` adds
your own (docs/trackers.md). ``--tracker`` turns on one of those below. All of them write into the run's directory and
send nothing anywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.events import ArtifactWritten, EpochDone, Event, Note, Progress, Resumed, StepDone
from semilla.pipeline import tracker_child
from semilla.records.files import make_directory

LOCAL = {
    "HF_HUB_OFFLINE": "1",
    "TRACKIO_STORAGE_MODE": "sqlite",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Environment of the child: no telemetry, and no question who is logged in."""
TIMEOUT_S = 120.0
"""How long the end of a run waits for the last figures."""


@contextmanager
def open_tracker(config: PipelineConfiguration, *, tell: Progress) -> Iterator[tuple[Progress, ...]]:
    """Open the tracker the configuration asks for and close it at the end; ``tell`` hears about its files."""
    if config.tracker == "none":
        yield ()
        return
    kind = TensorBoardTracker if config.tracker == "tensorboard" else ChildTracker
    tracker = kind(config, tell=tell)
    try:
        yield (tracker,)
    finally:
        tracker.close()


class Tracker:
    """Takes the figures out of a run's events. Nothing is created before the first of them."""

    def __init__(self, config: PipelineConfiguration, *, tell: Progress) -> None:
        self.config = config
        self.folder = Path(config.output_directory) / config.tracker
        self.tell = tell
        self.is_resumed = False

    def __call__(self, event: Event) -> None:
        match event:
            case Resumed():
                self.is_resumed = True
            case StepDone():
                fields = ("loss", "learning_rate", "tokens_per_second")
                self.write(event.step, {f"step/{name}": getattr(event, name) for name in fields})
            case EpochDone(metrics):
                fields = ("train_loss", "validation_loss", "gradient_norm")
                figures = {f"epoch/{name}": getattr(metrics, name) for name in fields}
                bits = {f"bits_per_byte/{key}": value for key, value in metrics.bits_per_byte.items()}
                self.write(metrics.epoch_number, figures | bits)
            case _:
                pass

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Record figures of one step, or of one epoch with its number as ``step``."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what is still buffered."""
        raise NotImplementedError


class TensorBoardTracker(Tracker):
    """Writes TensorBoard event files with the package ``tensorboard`` alone, without torch or TensorFlow."""

    _writer: Any = None

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Row  # noqa: PLC0415 - an optional package
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._open().add_event(Row(step=step, summary=Summary(value=values), wall_time=time.time()))

    def close(self) -> None:
        if self._writer:
            self._writer.close()

    def _open(self) -> Any:
        if self._writer is None:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: PLC0415

            self._writer = EventFileWriter(str(self.folder))
            for path in self.folder.iterdir():
                self.tell(ArtifactWritten(path))
        return self._writer


class ChildTracker(Tracker):
    """Sends the figures to a child process that writes them with trackio or mlflow.

    These libraries take seconds to start, print, and keep their places and threads per process. The training goes on
    if the child fails, because its figures are in ``training_metrics.json`` as well; a note says why it failed.
    """

    _child: subprocess.Popen[bytes] | None = None
    _is_closed = False

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        if self._is_closed:
            return
        if self._child is None:
            self._child = self._start()
            self._send(
                {
                    "name": self.folder.resolve().parent.name,
                    "settings": self.config.flatten(),
                    "is_resumed": self.is_resumed,
                }
            )
        self._send({"step": step, "time": time.time(), "figures": figures})

    def close(self) -> None:
        if self._child is None or self._is_closed:
            return
        self._is_closed = True
        try:
            answer, _ = self._child.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            answer = f"it did not end within {TIMEOUT_S:.0f} s".encode()
        if self._child.returncode != 0:
            why = answer.decode(errors="replace").strip() or f"it ended with code {self._child.returncode}"
            self.tell(Note(f"{self.config.tracker} lacks figures of this run: {why}."))

    def _start(self) -> subprocess.Popen[bytes]:
        make_directory(self.folder)
        self.tell(ArtifactWritten(self.folder))  # the library decides what is in it
        # Variables of the libraries may name a server.
        others = {
            name: value for name, value in os.environ.items() if not name.startswith(("TRACKIO_", "MLFLOW_"))
        }
        return subprocess.Popen(  # noqa: S603 - our own interpreter and file
            # -P: a file in the working directory must not be imported in place of the package of that name.
            [sys.executable, "-P", str(Path(tracker_child.__file__)), self.config.tracker],
            cwd=self.folder,
            env={**others, **LOCAL, "TRACKIO_DIR": str(self.folder.resolve())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _send(self, row: Mapping[str, Any]) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(row).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            self.close()
