"""Trackers: listeners that pass a run's figures to a program that draws them. None is on by default.

A tracker is any callable that takes the events of ``semilla.events``; ``semilla.run(config, listeners=[mine])`` adds
your own (docs/trackers.md). ``--tracker tensorboard`` turns on the built-in one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.events import ArtifactWritten, EpochDone, Event, Progress, StepDone
from semilla.records import names


@contextmanager
def open_tracker(config: PipelineConfiguration, *, tell: Progress) -> Iterator[tuple[Progress, ...]]:
    """Open the tracker the configuration asks for and close it at the end; ``tell`` hears about its files."""
    if config.tracker == "none":
        yield ()
        return
    tracker = TensorBoardTracker(Path(config.output_directory) / names.TENSORBOARD, tell=tell)
    try:
        yield (tracker,)
    finally:
        tracker.close()


class TensorBoardTracker:
    """Writes TensorBoard event files with the package ``tensorboard`` alone, without torch or TensorFlow.

    The folder is created at the first figure, so a run with nothing to do leaves no folder.
    """

    def __init__(self, folder: Path, *, tell: Progress) -> None:
        self.folder = folder
        self.tell = tell
        self._writer: Any = None

    def __call__(self, event: Event) -> None:
        match event:
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
        from tensorboard.compat.proto.event_pb2 import Event as Row  # noqa: PLC0415 - an optional package
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._open().add_event(Row(step=step, summary=Summary(value=values), wall_time=time.time()))

    def close(self) -> None:
        """Write what is still buffered."""
        if self._writer:
            self._writer.close()

    def _open(self) -> Any:
        if self._writer is None:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: PLC0415

            self._writer = EventFileWriter(str(self.folder))
            for path in self.folder.iterdir():
                self.tell(ArtifactWritten(path))
        return self._writer
