"""Writes the figures of a run with trackio or mlflow. A script for a child process.

Usage: ``python -P tracker_child.py trackio|mlflow``, in the tracker's folder. Each line of standard input is JSON:
first the run's name, its settings and whether it was resumed, then figures with their step and time. The end of the
input ends it. Standard output says why it failed, if it did.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

PROJECT = "semilla"
"""Name of the project in trackio, and of the experiment in mlflow."""
BATCH, BATCH_S = 500, 1.0
"""A batch costs mlflow little more than one figure, so figures wait for each other: this many, or so many seconds."""


class Writer(Protocol):
    def write(self, step: int, figures: Mapping[str, float], *, time_s: float) -> None: ...

    def close(self) -> None: ...


class TrackioWriter:
    """Writes into the SQLite database of a trackio project in ``TRACKIO_DIR``."""

    def __init__(self, *, name: str, settings: Mapping[str, Any], is_resumed: bool) -> None:
        import trackio  # noqa: PLC0415 - an optional package

        self._run: Any = trackio.init(
            project=PROJECT,
            name=name,
            config=dict(settings),
            resume="allow" if is_resumed else "never",
            auto_log_cpu=False,
            auto_log_gpu=False,
            embed=False,
        )

    def write(self, step: int, figures: Mapping[str, float], *, time_s: float) -> None:  # noqa: ARG002 - it has its own clock
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        self._run.finish()


class MlflowWriter:
    """Writes mlflow's files. Its other store, a database, takes 8 s to create and needs more packages."""

    def __init__(self, *, name: str, settings: Mapping[str, Any], is_resumed: bool) -> None:
        from mlflow import MlflowClient  # noqa: PLC0415 - an optional package
        from mlflow.entities import Param  # noqa: PLC0415

        place = Path.cwd().as_uri()
        self._client = MlflowClient(tracking_uri=place, registry_uri=place)
        found = self._client.get_experiment_by_name(PROJECT)
        experiment = found.experiment_id if found else self._client.create_experiment(PROJECT)
        before = self._client.search_runs(
            [experiment], order_by=["attributes.start_time DESC"], max_results=1
        )
        if is_resumed and before:
            self._id = before[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._client.create_run(experiment, run_name=name).info.run_id
            self._client.log_batch(
                self._id, params=[Param(key, str(value)) for key, value in settings.items()]
            )
        self._waiting: list[Any] = []
        self._written_s = 0.0

    def write(self, step: int, figures: Mapping[str, float], *, time_s: float) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415

        self._waiting += [Metric(key, value, round(time_s * 1000), step) for key, value in figures.items()]
        if len(self._waiting) >= BATCH or time.monotonic() - self._written_s > BATCH_S:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._client.set_terminated(self._id)

    def _flush(self) -> None:
        self._client.log_batch(self._id, metrics=self._waiting)
        self._waiting, self._written_s = [], time.monotonic()


WRITERS: dict[str, type[TrackioWriter] | type[MlflowWriter]] = {
    "trackio": TrackioWriter,
    "mlflow": MlflowWriter,
}


def main(tracker: str) -> int:
    """Write what standard input brings; return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run stops, and then closes the input
    tempfile.tempdir = os.curdir  # finding one would try the machine's
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), 1)  # the libraries print
    try:
        writer: Writer = WRITERS[tracker](**json.loads(sys.stdin.readline()))
        for line in sys.stdin:
            row = json.loads(line)
            writer.write(row["step"], row["figures"], time_s=row["time"])
        writer.close()
    except Exception as error:
        answer.write(f"{type(error).__name__}: {error}")
        answer.close()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
