"""Trackers: listeners that hand a run's figures to a program that draws them; none is on by default.

A tracker is whatever takes the events of ``semilla.events``: ``semilla.run(config, listeners=[mine])`` is all one
of your own needs (docs/trackers.md). ``--tracker tensorboard`` turns on the one that is built in.
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
    """The trackers that the configuration asks for, closed at the end; ``tell`` hears of the files they make."""
    if config.tracker == "none":
        yield ()
        return
    tracker = TensorBoardTracker(Path(config.output_directory) / names.TENSORBOARD, tell=tell)
    try:
        yield (tracker,)
    finally:
        tracker.close()


class TensorBoardTracker:
    """Writes TensorBoard's event files with the package ``tensorboard`` alone; it imports neither torch nor TensorFlow.

    The folder is made at the first figure, so that a run with nothing to do leaves nothing.
    """

    def __init__(self, folder: Path, *, tell: Progress) -> None:
        self.folder = folder
        self.tell = tell
        self._writer: Any = None

    def __call__(self, event: Event) -> None:
        match event:
            case StepDone():
                figures = {
                    "step/loss": event.loss,
                    "step/learning_rate": event.learning_rate,
                    "step/tokens_per_second": event.tokens_per_second,
                }
                self.write(event.step, figures)
            case EpochDone(metrics):
                epoch = {
                    "epoch/train_loss": metrics.train_loss,
                    "epoch/validation_loss": metrics.validation_loss,
                    "epoch/gradient_norm": metrics.gradient_norm,
                    **{f"bits_per_byte/{key}": bits for key, bits in metrics.bits_per_byte.items()},
                }
                self.write(metrics.epoch_number, epoch)
            case _:
                pass

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Row  # noqa: PLC0415 - only where it is wanted
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in figures.items()]
        self._open().add_event(Row(step=step, summary=Summary(value=values), wall_time=time.time()))

    def close(self) -> None:
        """Write what is still held back, and list the file among what the run left."""
        if self._writer:
            self._writer.close()

    def _open(self) -> Any:
        if self._writer is None:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: PLC0415

            self._writer = EventFileWriter(str(self.folder))
            for path in self.folder.iterdir():
                self.tell(ArtifactWritten(path))
        return self._writer
