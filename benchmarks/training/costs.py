"""What training costs in time and memory as one size grows: the text, the context, the width or the vocabulary.

    python benchmarks/training/costs.py RUN_DIRECTORY [--rounds 3] [--threads 2] [--output FILE] [--plot FILE.svg]

Everything else stays at its default (20 epochs of 3 MB). RUN_DIRECTORY is a finished run; the curve over the text's
size uses its text and tokenizer. Steps are rehearsed in fresh processes, alternating between the sizes. Next to each
figure is what the count of operations predicts from the default's time. --plot needs matplotlib, which no extra
installs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from machine_facts import describe_machine

from semilla.configuration.schema import PipelineConfiguration
from semilla.model.shape import count_parameters
from semilla.prerequisites.duration import count_steps, estimate_training_s, rehearse_training
from semilla.training.memory import estimate_training_memory_mb

AXES: dict[str, tuple[int, ...]] = {
    "corpus_size_mb": (1, 3, 10, 30),
    "max_sequence_length": (128, 256, 512, 1024),
    "d_model": (64, 128, 256, 512),
    "tokenizer_vocab_size": (1000, 2000, 4000, 8000, 16000, 32000),
}
LABELS = {
    "corpus_size_mb": "text, MB",
    "max_sequence_length": "context, tokens",
    "d_model": "width",
    "tokenizer_vocab_size": "vocabulary, pieces",
}
TRAINED_STEPS = 12


def configure(name: str, value: int, *, threads: int) -> PipelineConfiguration:
    """The defaults with one setting changed; the feed-forward width grows with the width."""
    settings: dict[str, Any] = {"num_threads": threads}
    architecture: dict[str, Any] = {}
    top: dict[str, Any] = {"corpus_source": "sample"}
    if name == "max_sequence_length":
        settings[name] = value
    elif name == "d_model":
        architecture = {"d_model": value, "dim_feedforward": 2 * value}
    else:
        top[name] = value
    return PipelineConfiguration.model_validate(
        {**top, "model_architecture": architecture, "training_hyperparameters": settings}
    )


def count_operations(config: PipelineConfiguration) -> float:
    """Operations of all steps: six for every matrix weight and token, plus the products of attention."""
    shape, settings = config.model_architecture, config.training_hyperparameters
    matrices = count_parameters(config)
    attention = 12 * shape.num_layers * shape.d_model * settings.max_sequence_length
    tokens = count_steps(config) * settings.batch_size * settings.max_sequence_length
    return tokens * (6.0 * matrices + attention)


def measure_shape(config: PipelineConfiguration) -> dict[str, float]:
    """Minutes of the whole training, estimated from rehearsed steps, and the peak memory of the rehearsal."""
    rehearsed = rehearse_training(config)
    return {
        "minutes": estimate_training_s(config, rehearsed, steps=count_steps(config)) / 60,
        "peak_mb": rehearsed["peak_mb"],
    }


def measure_corpus(run_directory: Path, size_mb: int, *, threads: int) -> dict[str, float]:
    """The same for a text of ``size_mb`` that is read, encoded, trained on for some steps and evaluated."""
    command = [
        sys.executable,
        __file__,
        str(run_directory),
        "--child",
        str(size_mb),
        "--threads",
        str(threads),
    ]
    child = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(child.stdout)


def train_a_little(run_directory: Path, size_mb: int, *, threads: int) -> dict[str, float]:
    """Train some steps on the run's text, repeated or cut to ``size_mb``, in this process."""
    from contextlib import closing
    from itertools import islice

    from contenders import measure_peak_mb
    from finished_run import read_finished_run

    from semilla.system.allocator import keep_freed_blocks
    from semilla.training.data import build_data
    from semilla.training.environment import choose_environment
    from semilla.training.evaluate import evaluate
    from semilla.training.loop import train
    from semilla.training.state import build_state

    keep_freed_blocks()
    config = configure("corpus_size_mb", size_mb, threads=threads)
    environment = choose_environment(config.training_hyperparameters, device="cpu")
    tokenizer, documents = read_finished_run(run_directory)
    total = sum(len(one.train_text.encode()) + len(one.validation_text.encode()) for one in documents)
    times = size_mb * 1e6 / total
    documents = [
        replace(
            one,
            train_texts=(_repeat(one.train_text, times),),
            validation_texts=(_repeat(one.validation_text, times),),
        )
        for one in documents
    ]
    data = build_data(documents, tokenizer, config)
    state = build_state(config, vocab_size=tokenizer.vocab_size, precision=environment.precision)
    with closing(train(state, config=config, data=data)) as infos:
        steps = [info.elapsed_s for info in islice(infos, TRAINED_STEPS)]
        sampled_s = statistics.median(steps[2:])
        began_s = time.perf_counter()
        evaluate(state.model, data)
        evaluation_s = time.perf_counter() - began_s
        peak_mb = measure_peak_mb()
    settings = config.training_hyperparameters
    share = settings.sampled_output_fraction
    step_s = share * sampled_s + (1 - share) * sampled_s * _compare_steps(config)
    seconds = settings.num_epochs * (data.steps_per_epoch * step_s + evaluation_s)
    return {"minutes": seconds / 60, "peak_mb": peak_mb}


def _compare_steps(config: PipelineConfiguration) -> float:
    times = rehearse_training(config)
    return times["full_s"] / times["sampled_s"]


def _repeat(text: str, times: float) -> str:
    return (text * (int(times) + 1))[: round(len(text) * times)]


def measure(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """A row for every value of every axis, with all repetitions."""
    configs = {
        (name, value): configure(name, value, threads=arguments.threads)
        for name, values in AXES.items()
        for value in values
    }
    found: dict[tuple[str, int], list[dict[str, float]]] = {key: [] for key in configs}
    for _ in range(arguments.rounds):
        for (name, value), config in configs.items():
            if name == "corpus_size_mb":
                result = measure_corpus(arguments.run_directory, value, threads=arguments.threads)
            else:
                result = measure_shape(config)
            found[name, value].append(result)
            print(name, value, result, file=sys.stderr)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in AXES}
    for (name, value), repetitions in found.items():
        rows[name].append(
            {
                "value": value,
                **{key: statistics.median(one[key] for one in repetitions) for key in repetitions[0]},
                "operations": count_operations(configs[name, value]),
                "estimated_mb": estimate_training_memory_mb(configs[name, value]),
                "repetitions": repetitions,
            }
        )
    defaults = PipelineConfiguration().flatten()
    for name, curve in rows.items():
        standard = next(row for row in curve if row["value"] == defaults[name])
        for row in curve:
            row["predicted_minutes"] = standard["minutes"] * row["operations"] / standard["operations"]
    return rows


def plot(rows: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Time above, memory below; lines are what is predicted, dots what was measured."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, len(rows), figsize=(13, 6), sharex="col")
    for (above, below), (name, curve) in zip(panels.T, rows.items(), strict=True):
        values = [row["value"] for row in curve]
        above.plot(values, [row["predicted_minutes"] for row in curve], color="0.6", label="operations")
        above.plot(values, [row["minutes"] for row in curve], "o", label="measured")
        below.plot(values, [row["estimated_mb"] for row in curve], color="0.6", label="estimate")
        below.plot(values, [row["peak_mb"] for row in curve], "o", label="measured")
        above.set(xscale="log", yscale="log", ylabel="minutes of 20 epochs", ylim=(1, 100))
        above.yaxis.set_major_formatter("{x:g}")
        below.set(xscale="log", xlabel=LABELS[name], ylabel="peak memory, MiB", ylim=(0, None))
        shown = [f"{value // 1000}k" if value % 1000 == 0 else str(value) for value in values]
        below.set_xticks(values, shown)
        below.minorticks_off()
    panels[0][0].legend()
    panels[1][0].legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        found = train_a_little(arguments.run_directory, arguments.child, threads=arguments.threads)
        print(json.dumps(found))
        return
    result = {"machine": describe_machine(), "threads": arguments.threads, "curves": measure(arguments)}
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, curve in result["curves"].items():
        for row in curve:
            print(f"{name:22}{row['value']:7,}  {row['minutes']:7.2f} min (operations {row['predicted_minutes']:7.2f})"
                  f"  {row['peak_mb']:6.0f} MB (estimate {row['estimated_mb']:6.0f})")  # fmt: skip
    if arguments.plot:
        plot(result["curves"], arguments.plot)


if __name__ == "__main__":
    main()
