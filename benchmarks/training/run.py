"""How fast and how well the training learns, compared with the textbook loop and with Trainer.

    python benchmarks/training/run.py RUN_DIRECTORY speed    [--rounds 7] [--steps 32] [--threads 2]
    python benchmarks/training/run.py RUN_DIRECTORY losses   [--minutes 5] [--until 4.7] [--contenders ours textbook]
    python benchmarks/training/run.py RUN_DIRECTORY quality  [--contenders ours "hugging face trainer"]
    python benchmarks/training/run.py RUN_DIRECTORY ablation [--epochs 2]
    python benchmarks/training/run.py RUN_DIRECTORY seeds    [--epochs 2]

RUN_DIRECTORY is a finished run; all contenders get its text, split and tokenizer. The extra ``bench`` installs what
Trainer needs.

* ``speed`` interleaves the contenders and reports tokens per second, next to the machine's own limit.
* ``losses`` evaluates every 40 steps with the clock stopped and reports when a validation loss was reached.
* ``quality`` gives the others three times the time that ours takes to train to the end, and reports each best loss.
* ``ablation`` trains ours, and ours without each improvement, to the end.
* ``seeds`` trains ours from ten seeds.

Each writes JSON with every repetition (--output) and prints a table.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from machine_facts import describe_machine

SCRIPT = Path(__file__).with_name("contenders.py")
OURS = "ours"
TEXTBOOK, TRAINER = "textbook", "hugging face trainer"
RIVALS = (TEXTBOOK, "textbook with kept blocks", TRAINER)
ABLATIONS = (
    "without sampled output",
    "without chunked loss",
    "without muon",
    "with torch's muon",
    "without dropout",
    "without short contexts",
    "without kept blocks",
    "without worker processes",
    "with uniform samples",
    "with shared samples",
    "with whole attention squares",
    "in float32",
)
EVALUATE_EVERY = 40
LOSSES = (5.5, 5.0, 4.7)
MORE_TIME = 3
SEEDS = 10
DEFAULT_EPOCHS = 20
WARMUP_STEPS = 3
DENSE_FLOP_PER_TOKEN = 6 * 1_351_680 + 12 * 2 * 128 * 128
"""Default shape: six operations for each matrix parameter (output layer included), plus attention over 128
positions."""


class Process:
    """A contender's process, which waits for requests."""

    def __init__(
        self, name: str, arguments: argparse.Namespace, *, epochs: int = DEFAULT_EPOCHS, seed: int = 0
    ) -> None:
        self.name = name
        command = [sys.executable, str(SCRIPT), name, str(arguments.run_directory)]
        numbers = {"--threads": arguments.threads, "--epochs": epochs, "--seed": seed}
        self.process = subprocess.Popen(
            [*command, *(str(word) for pair in numbers.items() for word in pair)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.tokens_per_epoch = self.read()["tokens_per_epoch"]

    def read(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self.process.wait()}")
        return json.loads(line)

    def ask(self, request: str) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.process.stdin.write(f"{request}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> float:
        """End the process; return its peak memory in MiB."""
        peak_mb = self.ask("memory")["peak_mb"]
        self.process.stdin.close()  # it leaves by itself, and removes its temporary folder
        self.process.wait()
        self.process.stdout.close()
        return peak_mb


def measure_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Tokens per second of every contender, alternating, and the machine's limit in every round."""
    processes = [Process(name, arguments) for name in arguments.contenders]
    repetitions: dict[str, list[float]] = {one.name: [] for one in processes}
    limits: list[dict[str, float]] = []
    for one in processes:
        one.ask(f"steps {WARMUP_STEPS}")
    for _ in range(arguments.rounds):
        limits.append(processes[0].ask("products"))
        for one in processes:
            one.ask("steps 1")  # not counted: the caches are full of the others' data
            found = one.ask(f"steps {arguments.steps}")
            repetitions[one.name].append(found["tokens"] / found["seconds"])
    peaks = {one.name: one.close() for one in processes}
    limit = {name: statistics.median(one[name] for one in limits) for name in limits[0]}
    return {
        "limit_gflops": {"median": limit, "repetitions": limits},
        "contenders": {
            name: {
                "tokens_per_s": statistics.median(rates),
                "times_textbook": _divide(rates, repetitions.get(TEXTBOOK)),
                "times_trainer": _divide(rates, repetitions.get(TRAINER)),
                "dense_share_of_limit": statistics.median(rates)
                * DENSE_FLOP_PER_TOKEN
                / 1e9
                / max(limit.values()),
                "peak_mb": peaks[name],
                "repetitions": rates,
            }
            for name, rates in repetitions.items()
        },
    }


def _divide(rates: list[float], others: list[float] | None) -> float | None:
    """Median of the ratios within each round, in which the machine's drift cancels out."""
    return statistics.median(a / b for a, b in zip(rates, others, strict=True)) if others else None


def measure_losses(arguments: argparse.Namespace) -> dict[str, Any]:
    """Training seconds after which each contender reached each validation loss."""
    return {
        "contenders": {
            name: follow(name, arguments, limit_s=arguments.minutes * 60, until=arguments.until)
            for name in arguments.contenders
        }
    }


def measure_quality(arguments: argparse.Namespace) -> dict[str, Any]:
    """The best validation loss of ours in 20 epochs, and of the others in three times those seconds.

    The others plan as many epochs as fit into that time, so that their learning rate is low at its end.
    """
    found = {OURS: follow(OURS, arguments, limit_s=math.inf)}
    limit_s = MORE_TIME * found[OURS]["curve"][-1]["seconds"]
    for name in arguments.contenders:
        if name != OURS:
            epochs = count_fitting_epochs(name, arguments, limit_s=limit_s)
            found[name] = {"epochs": epochs, **follow(name, arguments, limit_s=math.inf, epochs=epochs)}
    return {"contenders": found}


def count_fitting_epochs(name: str, arguments: argparse.Namespace, *, limit_s: float) -> int:
    """How many epochs the contender can train in ``limit_s``, estimated from a few steps."""
    process = Process(name, arguments)
    process.ask(f"steps {WARMUP_STEPS}")
    rates = [step["tokens"] / step["seconds"] for step in (process.ask("steps 8") for _ in range(3))]
    process.close()
    tokens = process.tokens_per_epoch
    return max(1, round(limit_s * statistics.median(rates) / tokens))


def follow(
    name: str,
    arguments: argparse.Namespace,
    *,
    limit_s: float,
    until: float = -math.inf,
    epochs: int = DEFAULT_EPOCHS,
) -> dict[str, Any]:
    """Train for ``limit_s`` seconds, to a loss or to the end; evaluate every 40 steps with the clock stopped."""
    process, clock_s, tokens = Process(name, arguments, epochs=epochs), 0.0, 0
    curve: list[dict[str, float]] = []
    while clock_s < limit_s and not (curve and curve[-1]["loss"] < until):
        step = process.ask(f"steps {EVALUATE_EVERY}")
        if not step["seconds"]:
            break
        clock_s, tokens = clock_s + step["seconds"], tokens + int(step["tokens"])
        curve.append({"seconds": clock_s, "tokens": tokens, "loss": process.ask("evaluate")["loss"]})
        print(f"{name}: {clock_s:.0f} s, {curve[-1]['loss']:.3f}", file=sys.stderr)
    process.close()
    reached = {loss: [one["seconds"] for one in curve if one["loss"] <= loss] for loss in LOSSES}
    return {
        "seconds_to": {str(loss): seconds[0] if seconds else None for loss, seconds in reached.items()},
        "best_loss": min((one["loss"] for one in curve), default=None),
        "curve": curve,
    }


def measure_ablation(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds and final loss of each contender after the same number of epochs."""
    found = {name: train_to_the_end(name, arguments) for name in arguments.contenders}
    return {"epochs": arguments.epochs, "contenders": found}


def measure_seeds(arguments: argparse.Namespace) -> dict[str, Any]:
    """Final loss of ours from every seed, and the standard deviation as a share of the mean."""
    found = {f"seed {seed}": train_to_the_end(OURS, arguments, seed=seed) for seed in range(SEEDS)}
    losses = [figures["loss"] for figures in found.values()]
    mean, deviation = statistics.mean(losses), statistics.stdev(losses)
    print(f"mean {mean:.4f}, standard deviation {deviation:.4f}, {deviation / mean:.2%} of the mean")
    summary = {"mean": mean, "standard_deviation": deviation}
    return {"epochs": arguments.epochs, **summary, "contenders": found}


def train_to_the_end(name: str, arguments: argparse.Namespace, *, seed: int = 0) -> dict[str, float]:
    """Seconds of all steps, and the final loss."""
    total_steps = arguments.epochs * read_steps_per_epoch(arguments.run_directory)
    process, seconds, tokens = Process(name, arguments, epochs=arguments.epochs, seed=seed), 0.0, 0
    steps = 0
    while steps < total_steps:
        count = min(EVALUATE_EVERY, total_steps - steps)
        step = process.ask(f"steps {count}")
        seconds, tokens, steps = seconds + step["seconds"], tokens + int(step["tokens"]), steps + count
    loss = process.ask("evaluate")["loss"]
    print(f"{name}, seed {seed}: {seconds:.0f} s, {loss:.3f}", file=sys.stderr)
    return {"seconds": seconds, "tokens": tokens, "loss": loss, "peak_mb": process.close()}


def read_steps_per_epoch(run_directory: Path) -> int:
    """Optimizer steps of an epoch, from the run's record."""
    status = json.loads((run_directory / "pipeline_status.json").read_text(encoding="utf-8"))
    return int(status["phase_records"]["model_training"]["details"]["steps_per_epoch"])


def print_table(result: dict[str, Any]) -> None:
    """Print the contenders' figures, without repetitions and curves."""
    for name, figures in result["contenders"].items():
        plain = {key: value for key, value in figures.items() if key not in {"repetitions", "curve"}}
        print(f"{name:28}", "  ".join(f"{key} {_show(value)}" for key, value in plain.items()))


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}: {_show(one)}" for key, one in value.items())
    return f"{value:,.3f}" if isinstance(value, float) else str(value)


MEASUREMENTS = {
    "speed": measure_speed,
    "losses": measure_losses,
    "quality": measure_quality,
    "ablation": measure_ablation,
    "seeds": measure_seeds,
}
CONTENDERS = {
    "speed": (OURS, *RIVALS, *ABLATIONS),
    "losses": (OURS, TRAINER),
    "quality": (OURS, TRAINER),
    "ablation": (OURS, *ABLATIONS),
    "seeds": (OURS,),
}


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("measurement", choices=MEASUREMENTS)
    parser.add_argument("--contenders", nargs="+", choices=(OURS, *RIVALS, *ABLATIONS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--until", type=float, default=min(LOSSES))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    arguments.contenders = arguments.contenders or CONTENDERS[arguments.measurement]
    began_s = time.perf_counter()
    result = {"machine": describe_machine(), "threads": arguments.threads}
    result |= MEASUREMENTS[arguments.measurement](arguments)
    result["took_s"] = time.perf_counter() - began_s
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_table(result)


if __name__ == "__main__":
    main()
