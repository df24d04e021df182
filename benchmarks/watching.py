"""What watching a run costs: CPU seconds of its training with nobody looking, and with everybody.

    python benchmarks/watching.py [--repetitions 7] [--output benchmarks/results/watching.json]

The same training, again and again, in turns: ``off`` (no listener, no pulse), ``live`` (the live display on a
terminal of its own, and the pulse), ``json`` (a line for every event) and ``tensorboard``. Counted are the CPU seconds
of the process from the first step to the last, all threads together; ``accounted_s`` are those spent inside listeners
and drawing, which no other work on the machine disturbs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from machine_facts import describe_machine

from semilla.records import files

VARIANTS = ("off", "live", "json", "tensorboard")
SETTINGS = {
    "corpus_source": "sample",
    "corpus_size_mb": 1,
    "tokenizer_vocab_size": 2000,
    "max_validation_loss": 20.0,
    "training_hyperparameters": {"num_epochs": 2, "num_threads": 1, "precision": "float32"},
}


class Clock:
    """Sums the CPU seconds of the calling thread inside what it wraps."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        self._lock = threading.Lock()

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **keywords: Any) -> Any:
            begin_s = time.thread_time()
            try:
                return function(*arguments, **keywords)
            finally:
                with self._lock:
                    self.spent_s += time.thread_time() - begin_s

        return timed


def train(variant: str, directory: Path) -> dict[str, float]:
    """Run in this process; CPU seconds of the training, and those of them that went into watching."""
    from semilla import pipeline
    from semilla.config import PipelineConfiguration
    from semilla.phases import validation
    from semilla.progress import Event, PhaseFinished, PhaseStarted

    clock, marks = Clock(), {}

    def mark(event: Event) -> None:
        match event:
            case PhaseStarted("model_training"):
                marks["begin"], marks["wall"], clock.spent_s = time.process_time(), time.perf_counter(), 0.0
            case PhaseFinished("model_training"):
                marks["end"], marks["wall_end"], marks["spent"] = (
                    time.process_time(), time.perf_counter(), clock.spent_s,
                )  # fmt: skip

    pulse = pipeline.open_pulse
    pipeline.open_pulse = (  # type: ignore[attr-defined]
        (lambda _: contextlib.nullcontext(lambda _: None)) if variant == "off" else _time_pulse(pulse, clock)
    )
    validation.run = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[assignment]
    tracker = "tensorboard" if variant == "tensorboard" else "none"
    config = PipelineConfiguration.model_validate(
        {**SETTINGS, "output_directory": str(directory), "tracker": tracker}
    )
    with watch(variant, clock) as listeners, contextlib.suppress(KeyboardInterrupt):
        pipeline.run_pipeline(config, listeners=[*listeners, mark])
    return {
        "cpu_s": marks["end"] - marks["begin"],
        "wall_s": marks["wall_end"] - marks["wall"],
        "accounted_s": marks["spent"],
    }


def _time_pulse(open_pulse: Callable[..., Any], clock: Clock) -> Callable[..., Any]:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Any]:
        with open_pulse(directory) as pulse:
            yield clock.wrap(pulse)

    return opened


@contextlib.contextmanager
def watch(variant: str, clock: Clock) -> Iterator[list[Any]]:
    """The listeners of a variant, timed."""
    if variant == "live":
        from semilla.terminal.live import LiveProgress

        with LiveProgress(title="benchmark") as live:
            live.live.refresh = clock.wrap(live.live.refresh)  # type: ignore[method-assign]
            yield [clock.wrap(live)]
    elif variant == "json":
        from semilla.terminal.events import JsonProgress

        yield [clock.wrap(JsonProgress())]
    else:
        yield []


def measure(variant: str) -> dict[str, float]:
    """One training in a process of its own, on a terminal of its own."""
    leader, follower = pty.openpty()
    drain = threading.Thread(target=_drain, args=(leader,), daemon=True)
    drain.start()
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, __file__, "--train", variant, "--place", place]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        environment.pop("NO_COLOR", None)
        subprocess.run(command, stdout=follower, env=environment, check=True)
        result: dict[str, float] = json.loads((Path(place) / "result.json").read_text())
    os.close(follower)
    return result


def _drain(leader: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(leader, 1 << 16):
            pass


def summarize(rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians, and each variant's cost in percent of the training nobody watched."""
    base = statistics.median(row["cpu_s"] for row in rows["off"])
    return {
        variant: {
            "cpu_s_median": statistics.median(row["cpu_s"] for row in found),
            "difference_percent": 100 * (statistics.median(row["cpu_s"] for row in found) / base - 1),
            "paired_difference_percent_median": statistics.median(
                100 * (row["cpu_s"] / off["cpu_s"] - 1) for row, off in zip(found, rows["off"], strict=True)
            ),
            "accounted_percent_median": statistics.median(
                100 * row["accounted_s"] / row["cpu_s"] for row in found
            ),
        }
        for variant, found in rows.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--train", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        result = train(arguments.train, arguments.place / "run")
        files.write_json(arguments.place / "result.json", result)
        return 0
    rows: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.repetitions):
        for variant in VARIANTS:
            rows[variant].append(measure(variant))
            print(variant, json.dumps(rows[variant][-1]), flush=True)
    result = {"machine": describe_machine(), "settings": SETTINGS, "summary": summarize(rows), "rows": rows}
    print(json.dumps(result["summary"], indent=2))
    if arguments.output:
        files.write_json(arguments.output, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
