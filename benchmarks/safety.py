"""What checkpoints cost: CPU seconds of training with checkpoints on disk, against training without.

    .venv/bin/python benchmarks/safety.py [--output-dir DIR] [--repetitions 7] [--steps 24]

The default shape and batch train on random tokens, on one thread, so no text is needed. Each repetition trains the same
number of steps twice, interleaved: without saving, and saving whenever 5 CPU seconds of training have passed (5 seconds
by the clock on an idle machine). A shared machine blurs that ratio, so every save is measured as well, and as many
further saves, each after a step: serializing, hashing, writing, syncing, reading back, and the status that follows. The
shares at 5 and at 30 seconds follow from their median. The results are printed and written to
``benchmarks/results/safety.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.events import Event
from semilla.records.status import PipelineStatus, write_status
from semilla.system.allocator import keep_freed_blocks
from semilla.training.checkpoints.checkpoint import Provenance
from semilla.training.checkpoints.persistence import TrainingFiles
from semilla.training.data import HeldOutText, TrainingData
from semilla.training.environment import choose_environment
from semilla.training.loop import train
from semilla.training.state import RunState, build_state

RESULTS = Path(__file__).parent / "results" / "safety.json"
INTERVALS_S = (5.0, 30.0)
WARM_UP_STEPS = 3


@dataclass
class Spent:
    """CPU and wall seconds."""

    cpu_s: float = 0.0
    wall_s: float = 0.0


@dataclass
class Bench:
    """One model in one process, trained without end; its weights do not matter."""

    config: PipelineConfiguration
    state: RunState
    data: TrainingData
    files: TrainingFiles
    saves: list[Spent] = field(default_factory=list)
    unsaved_s: float = 0.0

    def run(self, *, steps: int, interval_s: float | None) -> Spent:
        """Train ``steps`` steps; save whenever ``interval_s`` CPU seconds have passed, counted over all calls."""
        with measure() as spent:
            before_s = time.process_time()
            for _ in islice(train(self.state, config=self.config, data=self.data), steps):
                if interval_s is not None:
                    self.unsaved_s += time.process_time() - before_s
                    before_s = time.process_time()
                    self._save_if_due(interval_s)
        return spent

    def _save_if_due(self, interval_s: float) -> None:
        if self.unsaved_s >= interval_s:
            self.unsaved_s = 0.0
            self.save()

    def save(self) -> None:
        with measure() as save:
            self.files.save_step(self.state)
        self.saves.append(save)


@contextmanager
def measure() -> Iterator[Spent]:
    spent = Spent(time.process_time(), time.perf_counter())
    yield spent
    spent.cpu_s, spent.wall_s = time.process_time() - spent.cpu_s, time.perf_counter() - spent.wall_s


def build(directory: Path) -> Bench:
    keep_freed_blocks()
    config = PipelineConfiguration.model_validate(
        {
            "output_directory": str(directory),
            "training_hyperparameters": {"num_epochs": 100, "num_threads": 1},
        }
    )
    settings, vocab_size = config.training_hyperparameters, config.tokenizer_vocab_size
    environment = choose_environment(settings, device="cpu")
    tokens = np.random.default_rng(0).integers(4, vocab_size, 700_000).astype(np.int32)
    data = TrainingData(
        tokens,
        (HeldOutText("es", tokens[:10_000], 30_000),),
        settings.batch_size,
        settings.max_sequence_length,
        0,
    )
    state = build_state(config, vocab_size=vocab_size, precision=environment.precision)
    provenance = Provenance(1, vocab_size, "", "", environment.as_json())

    def tell(event: Event) -> None:  # noqa: ARG001 - as in a run, the status follows each artifact
        write_status(directory, PipelineStatus())

    files = TrainingFiles(config, run_id="", provenance=provenance, replaces=[], progress=tell)
    return Bench(config, state, data, files)


def compare(bench: Bench, *, repetitions: int, steps: int) -> dict[str, Any]:
    bench.run(steps=WARM_UP_STEPS, interval_s=None)
    off, on = [], []
    for number in range(repetitions):
        for arm in ("off", "on") if number % 2 == 0 else ("on", "off"):
            spent = bench.run(steps=steps, interval_s=INTERVALS_S[0] if arm == "on" else None)
            (on if arm == "on" else off).append(spent)
    for _ in range(repetitions):
        bench.run(steps=1, interval_s=None)
        bench.save()
    save_cpu_s = statistics.median(save.cpu_s for save in bench.saves)
    return {
        "training_cpu_s": {"off": [s.cpu_s for s in off], "every_5_s": [s.cpu_s for s in on]},
        "ratio_of_medians": statistics.median(s.cpu_s for s in on) / statistics.median(s.cpu_s for s in off),
        "saves": [{"cpu_s": save.cpu_s, "wall_s": save.wall_s} for save in bench.saves],
        "median_save_cpu_s": save_cpu_s,
        "median_save_wall_s": statistics.median(save.wall_s for save in bench.saves),
        "share_of_training": {f"{each:g} s": save_cpu_s / each for each in INTERVALS_S},
        "checkpoint_mb": max(path.stat().st_size for path in bench.files.directory.glob("*.pt")) / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output-dir", type=Path, help="on the disk to measure (default: a temporary folder here)"
    )
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--steps", type=int, default=24)
    arguments = parser.parse_args()
    machine = describe_machine()
    with tempfile.TemporaryDirectory(dir=arguments.output_dir or Path.cwd()) as place:
        bench = build(Path(place))
        figures = compare(bench, repetitions=arguments.repetitions, steps=arguments.steps)
        environment = bench.files.provenance.environment
    report = {
        "machine": {**machine, **environment},
        "load_after": os.getloadavg(),
        "steps": arguments.steps,
        **figures,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
