"""What watching a run costs: CPU seconds of its training without and with display, heartbeat and trackers.

    python benchmarks/watching.py [--repetitions 7] [--output benchmarks/results/watching.json]
    python benchmarks/watching.py --turns 3
    python benchmarks/watching.py --trainings [--variants off,live]

First it measures the CPU time of each part of watching: drawing the live display, following a step, writing the
heartbeat, a step's line of JSON, a step's row for TensorBoard, and what the server reads and sends for the page of a
run, once a second for all readers together. The figures are medians of ``--repetitions`` batches, in CPU time of the
thread, so other work on the machine hardly affects them. The share of a training on one core follows from them.

With ``--turns N``, each of N trainings is watched (live display and heartbeat) and not watched alternately, in blocks
of a few steps in the order on, off, off, on. The CPU seconds of neighbouring blocks are compared, so other load on
the machine cancels out. Blocks in which an epoch ends do not count.

With ``--trainings``, it repeats the same training, alternating between ``off`` (no listener, no heartbeat), ``live``
(the live display on a terminal of its own, and the heartbeat), ``json``, ``tensorboard`` and ``site`` (the heartbeat,
and ``semilla serve`` with a reader of the run's page). It counts the CPU seconds of the process from the first step to
the last, all threads together; ``accounted_s`` are those spent inside listeners and drawing, and ``server_cpu_s`` those
of the server while the training goes on. This needs an idle machine: the display draws by the clock, so a training
that gets a tenth of a core is drawn ten times as often for the same work.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
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

import psutil
from machine_facts import describe_machine
from serving import start_server

from semilla.records import files

EPOCH: dict[str, Any] = {
    "epoch_number": 2,
    "train_loss": 4.5,
    "validation_loss": 4.75,
    "learning_rate": 3e-4,
    "elapsed_seconds": 20,
    "sample_outputs": ["Once upon a time there was a girl. " * 4, "Había una vez un niño — “¡hola!” " * 4],
    "gradient_norm": 1.0,
    "tokens_per_second": 20_000.0,
    "bits_per_byte": {"all": 1.5},
}
STEPS_PER_SECOND = 10.0
"""More steps than the default training makes on two cores."""
VARIANTS = ("off", "live", "json", "tensorboard", "site")
SETTINGS = {
    "corpus_source": "sample",
    "corpus_size_mb": 1,
    "tokenizer_vocab_size": 1000,
    "max_validation_loss": 20.0,
    "training_hyperparameters": {"num_epochs": 1, "num_threads": 1, "precision": "float32"},
}


BLOCK_STEPS = 5
TURNS_EPOCHS = 4


class Turns:
    """A listener that forwards the events of every other block of steps and keeps each block's CPU seconds."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.heartbeat: Callable[[Any], None] = lambda _: None
        self.blocks: list[tuple[bool, float | None]] = []
        self.is_on = False
        self.num_steps = 0
        self.is_spoilt = True
        self.began_s = 0.0

    def __call__(self, event: Any) -> None:
        from semilla.events import EpochDone, PhaseStarted, StepDone

        if isinstance(event, PhaseStarted):
            self.live.follow(event)
        self.is_spoilt |= isinstance(event, EpochDone)
        if self.is_on:
            self.live.follow(event)
            self.heartbeat(event)
        if isinstance(event, StepDone):
            self.num_steps += 1
            if self.num_steps % BLOCK_STEPS == 0:
                self._turn()

    def _turn(self) -> None:
        spent_s = time.process_time() - self.began_s
        self.blocks.append((self.is_on, None if self.is_spoilt else spent_s))
        self.is_on = len(self.blocks) % 4 in (0, 3)
        (self.live.live.start if self.is_on else self.live.live.stop)()
        self.is_spoilt, self.began_s = False, time.process_time()

    def compare(self) -> list[float]:
        """Percent more CPU time of a watched block than of its neighbour, for each pair of whole blocks."""
        pairs = [dict(self.blocks[place : place + 2]) for place in range(0, len(self.blocks) - 1, 2)]
        return [100 * (pair[True] / pair[False] - 1) for pair in pairs if pair.get(True) and pair.get(False)]


def take_turns(directory: Path) -> dict[str, Any]:
    """Train in this process, watched and not watched alternately."""
    from semilla.configuration.schema import PipelineConfiguration
    from semilla.pipeline import main_job as pipeline
    from semilla.pipeline.phases import validation
    from semilla.terminal.live_progress import LiveProgress

    validation.run = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[assignment]
    hyperparameters = {**SETTINGS["training_hyperparameters"], "num_epochs": TURNS_EPOCHS}
    settings = {**SETTINGS, "training_hyperparameters": hyperparameters, "output_directory": str(directory)}
    with LiveProgress(title="benchmark") as live, contextlib.suppress(KeyboardInterrupt):
        turns = Turns(live)
        open_heartbeat = pipeline.open_heartbeat

        @contextlib.contextmanager
        def open_heartbeat_for_blocks(place: Path) -> Iterator[Any]:
            with open_heartbeat(place) as turns.heartbeat:
                yield lambda _: None

        pipeline.open_heartbeat = open_heartbeat_for_blocks  # type: ignore[attr-defined]
        pipeline.run_pipeline(PipelineConfiguration.model_validate(settings), listeners=[turns])
    return {"blocks": turns.blocks, "difference_percent": turns.compare()}


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
    """Run in this process; return the CPU seconds of the training, and the part of them spent on watching."""
    from semilla.configuration.schema import PipelineConfiguration
    from semilla.events import Event, PhaseFinished, PhaseStarted
    from semilla.pipeline import main_job as pipeline
    from semilla.pipeline.phases import validation

    clock, marks = Clock(), {}

    def mark(event: Event) -> None:
        match event:
            case PhaseStarted("model_training"):
                marks["begin"], marks["wall"], clock.spent_s = time.process_time(), time.perf_counter(), 0.0
            case PhaseFinished("model_training"):
                marks["end"], marks["wall_end"], marks["spent"] = (
                    time.process_time(), time.perf_counter(), clock.spent_s,
                )  # fmt: skip

    heartbeat = pipeline.open_heartbeat
    pipeline.open_heartbeat = (  # type: ignore[attr-defined]
        (lambda _: contextlib.nullcontext(lambda _: None))
        if variant == "off"
        else _time_heartbeat(heartbeat, clock)
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


def _time_heartbeat(open_heartbeat: Callable[..., Any], clock: Clock) -> Callable[..., Any]:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Any]:
        with open_heartbeat(directory) as heartbeat:
            yield clock.wrap(heartbeat)

    return opened


@contextlib.contextmanager
def watch(variant: str, clock: Clock) -> Iterator[list[Any]]:
    """The listeners of a variant, timed."""
    if variant == "live":
        from semilla.terminal.live_progress import LiveProgress

        with LiveProgress(title="benchmark") as live:
            live.live.refresh = clock.wrap(live.live.refresh)  # type: ignore[method-assign]
            yield [clock.wrap(live)]
    elif variant == "json":
        from semilla.terminal.json_progress import JsonProgress

        yield [clock.wrap(JsonProgress())]
    else:
        yield []


def measure(variant: str) -> dict[str, Any]:
    """One training in a process of its own, on a terminal of its own."""
    leader, follower = pty.openpty()
    drain = threading.Thread(target=_drain, args=(leader,), daemon=True)
    drain.start()
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        reader = Reader(*stack.enter_context(start_server(Path(place)))) if variant == "site" else None
        command = [sys.executable, __file__, "--train", variant, "--place", place]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        environment.pop("NO_COLOR", None)
        subprocess.run(command, stdout=follower, env=environment, check=True)
        result: dict[str, Any] = json.loads((Path(place) / "result.json").read_text())
        if reader:
            reader.join()
            result["server_cpu_s"] = reader.marks[-1] - reader.marks[0]
    os.close(follower)
    return result


class Reader(threading.Thread):
    """Follows the page of the run as a browser does; ``marks`` are the server's CPU seconds while it trains."""

    def __init__(self, port: int, server: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.marks: list[float] = []
        self._port, self._server = port, server
        self.start()

    def run(self) -> None:
        while not self.marks:
            connection = http.client.HTTPConnection("127.0.0.1", self._port)
            connection.request("GET", "/live/run")
            for line in connection.getresponse():
                if line.startswith(b"data:") and json.loads(line[5:]).get("share"):
                    self.marks.append(sum(self._server.cpu_times()[:2]))
            connection.close()
            time.sleep(0.1)


def _drain(leader: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(leader, 1 << 16):
            pass


def measure_calls(repetitions: int) -> dict[str, dict[str, float]]:
    """CPU milliseconds of each part of watching, and its share of one core in percent."""
    from semilla.events import StepDone

    steps = [StepDone(i + 1, 1000, 3, 12, 6 - i / 200, 3e-4, 21_000.0, 62.0) for i in range(500)]
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        calls = dict(_prepare_calls(Path(place), steps, stack))
        found = {}
        for name, (call, count, times_per_second) in calls.items():
            spans = []
            for _ in range(repetitions):
                begin_s = time.thread_time()
                for _ in range(count):
                    call()
                spans.append(1000 * (time.thread_time() - begin_s) / count)
            cost_ms = statistics.median(spans)
            found[name] = {"cpu_ms": cost_ms, "percent_of_a_core": cost_ms * times_per_second / 10}
    return found


def _prepare_calls(
    folder: Path, steps: list[Any], stack: contextlib.ExitStack
) -> Iterator[tuple[str, tuple[Callable[[], Any], int, float]]]:
    """Each call by name, with its number of repetitions and how often a second a run makes it."""
    from rich.console import Console
    from rich.live import Live

    from semilla.configuration.schema import PipelineConfiguration
    from semilla.errors import PHASES
    from semilla.events import EpochDone, PhaseStarted
    from semilla.pipeline.trackers import TensorBoardTracker
    from semilla.records import names
    from semilla.records.heartbeat import BEAT_S, open_heartbeat
    from semilla.records.lock import hold_lock
    from semilla.records.metrics import EpochMetrics, TrainingMetrics, write_metrics
    from semilla.records.status import PipelineStatus, write_status
    from semilla.server.errors import dump
    from semilla.server.live import BEAT_S as SERVER_BEAT_S
    from semilla.server.live import describe_run
    from semilla.terminal.json_progress import describe_fields, describe_kind
    from semilla.terminal.live_progress import REFRESH_PER_SECOND, LiveProgress

    live = LiveProgress(title="benchmark")
    live.console = Console(
        file=_open_terminal(), force_terminal=True, color_system="256", width=100, height=40
    )
    live.live = Live(get_renderable=live.draw, console=live.console, auto_refresh=False)
    live.follow(PhaseStarted("model_training"))
    live.follow(EpochDone(EpochMetrics(**EPOCH), is_best=True))
    stack.enter_context(hold_lock(folder))
    heartbeat = stack.enter_context(open_heartbeat(folder))
    config = PipelineConfiguration(output_directory=str(folder), tracker="tensorboard")
    tracker = TensorBoardTracker(config, tell=lambda _: None)
    stack.callback(tracker.close)
    for step in steps:
        live.follow(step)
        heartbeat(step)
    step = steps[-1]
    live.live.start()
    stack.callback(live.live.stop)
    yield "draw the live display", (live.live.refresh, 200, REFRESH_PER_SECOND)
    yield "follow a step", (lambda: live.follow(step), 2000, STEPS_PER_SECOND)
    yield "take a step's heartbeat", (lambda: heartbeat(step), 2000, STEPS_PER_SECOND)
    yield "write the heartbeat", (heartbeat._write, 200, 1 / BEAT_S)
    line = lambda: json.dumps({"event": describe_kind(step), **describe_fields(step)})  # noqa: E731
    yield "a step's line of JSON", (line, 2000, STEPS_PER_SECOND)
    heartbeat._write()
    status = PipelineStatus(run_state="running", current_phase="model_training")
    status.completed_phases.extend(PHASES[: PHASES.index("model_training")])
    write_status(folder, status)
    history = [EpochMetrics(**EPOCH | {"epoch_number": number}) for number in range(1, 21)]
    write_metrics(folder / names.METRICS, TrainingMetrics(run_id="benchmark", epoch_history=history))
    assert describe_run(folder)["share"]
    yield "the server's look at the run", (lambda: dump(describe_run(folder)), 100, 1 / SERVER_BEAT_S)
    yield "a step's row for TensorBoard", (lambda: tracker(step), 500, STEPS_PER_SECOND)


def _open_terminal() -> Any:
    """A terminal whose output is read and discarded."""
    leader, follower = pty.openpty()
    threading.Thread(target=_drain, args=(leader,), daemon=True).start()
    return os.fdopen(follower, "w", encoding="utf-8")


def summarize(rows: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians, and each variant's cost in percent of the unwatched training."""
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
            "server_percent_median": statistics.median(
                100 * row.get("server_cpu_s", 0) / row["cpu_s"] for row in found
            ),
        }
        for variant, found in rows.items()
    }


def summarize_turns(trainings: list[dict[str, Any]]) -> dict[str, float]:
    """Figures over all pairs of blocks of all trainings."""
    found = [percent for training in trainings for percent in training["difference_percent"]]
    return {
        "pairs": len(found),
        "median_percent": statistics.median(found),
        "mean_percent": statistics.fmean(found),
        "standard_error_percent": statistics.stdev(found) / len(found) ** 0.5,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--trainings", action="store_true", help="also compare whole trainings")
    parser.add_argument(
        "--variants", default=",".join(VARIANTS), help="variants of whole trainings; must include off"
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--turns", type=int, default=0, metavar="N", help="watch N trainings alternately")
    parser.add_argument("--train", choices=(*VARIANTS, "turns"), help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        run = take_turns if arguments.train == "turns" else functools.partial(train, arguments.train)
        files.write_json(arguments.place / "result.json", run(arguments.place / "run"))
        return 0
    result: dict[str, Any] = {"machine": describe_machine(), "calls": measure_calls(arguments.repetitions)}
    if arguments.turns:
        trainings = [measure("turns") for _ in range(arguments.turns)]
        result["turns"] = summarize_turns(trainings) | {"trainings": trainings}
    rows: dict[str, list[dict[str, float]]] = {variant: [] for variant in arguments.variants.split(",")}
    for _ in range(arguments.repetitions if arguments.trainings else 0):
        for variant, found in rows.items():
            found.append(measure(variant))
            print(variant, json.dumps(found[-1]), flush=True)
    if arguments.trainings:
        result |= {"settings": SETTINGS, "summary": summarize(rows), "rows": rows}
    print(json.dumps({key: result[key] for key in ("calls", "turns", "summary") if key in result}, indent=2))
    if arguments.output:
        files.write_json(arguments.output, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
