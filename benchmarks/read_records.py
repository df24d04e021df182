"""Read status, metrics and heartbeat of a run repeatedly while it works, and check that every read is complete.

    python benchmarks/read_records.py [--reads 10000] [--output benchmarks/results/reads.json]

Starts a run (embedded stories, small shape) and reads until it ends, at least ``--reads`` times; if it was too short,
another run follows. Each read goes through the public readers, which verify the SHA-256 and the schema. Writes JSON
with every count; exits with 1 when any read failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from machine_facts import describe_machine

from semilla.errors import PHASES, SemillaError
from semilla.records import files, names
from semilla.records.heartbeat import read_heartbeat
from semilla.records.lock import is_locked
from semilla.records.metrics import read_metrics
from semilla.records.status import read_status

SETTINGS = (
    "--corpus-source sample --corpus-size-mb 1 --tokenizer-vocab-size 1000 --num-layers 1 --d-model 64 "
    "--num-heads 2 --dim-feedforward 128 --num-epochs 4 --num-threads 1 --precision float32 --checkpoint-seconds 2"
)
ORDER = [*PHASES, "complete", "failed"]
PAUSE_S = 0.002


class Reader:
    """Counts reads of a directory and collects their faults."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.place = 0
        self.num_epochs = 0
        self.step = 0

    def read(self) -> None:
        """Read all three once; no read may show an earlier state than the one before."""
        try:
            status = read_status(self.directory)
            if status:
                self.counts["status"] += 1
                self._check_order("phase", self.place, ORDER.index(status.current_phase))
                self.place = ORDER.index(status.current_phase)
            if (self.directory / names.METRICS).exists():
                epochs = len(read_metrics(self.directory / names.METRICS).epoch_history)
                self.counts["metrics"] += 1
                self._check_order("epoch", self.num_epochs, epochs)
                self.num_epochs = epochs
        except (SemillaError, ValueError) as error:
            self.faults.append(f"{type(error).__name__}: {error}")
        self._read_heartbeat()

    def _read_heartbeat(self) -> None:
        beat = read_heartbeat(self.directory)
        self.counts["heartbeat, none or not whole" if beat is None else "heartbeat"] += 1
        if beat and beat.step:
            self._check_order("step", self.step, beat.step.step)
            self.step = beat.step.step

    def _check_order(self, name: str, before: int, after: int) -> None:
        if after < before:
            self.faults.append(f"{name} went back from {before} to {after}")


def follow_run(directory: Path) -> Reader:
    """Start a run and read until it ends."""
    command = [sys.executable, "-m", "semilla", "run", "--output-dir", str(directory), *SETTINGS.split()]
    reader = Reader(directory)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            reader.read()
            time.sleep(PAUSE_S)
    if child.returncode not in {0, 5} or is_locked(directory):
        reader.faults.append(f"the run ended with {child.returncode}")
    return reader


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--reads", type=int, default=10_000)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    runs: list[dict[str, Any]] = []
    while counts["status"] + counts["metrics"] < arguments.reads:
        with tempfile.TemporaryDirectory() as place:
            reader = follow_run(Path(place) / "run")
        counts += reader.counts
        runs.append({"reads": dict(reader.counts), "epochs": reader.num_epochs, "faults": reader.faults})
        print(json.dumps(runs[-1]), flush=True)
        if reader.faults:
            break
    result = {"machine": describe_machine(), "settings": SETTINGS, "reads": dict(counts), "runs": runs}
    if arguments.output:
        files.write_json(arguments.output, result)
    return 1 if any(run["faults"] for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
