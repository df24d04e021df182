"""Time a few training steps of a configuration on this machine, on synthetic text.

Run it in a process of its own, because it imports torch and takes as much memory as training:
``python -m semilla.training.rehearsal`` reads the configuration as JSON from standard input, and prints a ``Rehearsal``
as JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.errors import KilledError
from semilla.system.allocator import keep_freed_blocks
from semilla.system.footprint import read_memory_mb
from semilla.training.data import HeldOutText, TrainingData
from semilla.training.devices import choose_device
from semilla.training.environment import choose_environment
from semilla.training.evaluate import evaluate
from semilla.training.loop import take_step
from semilla.training.parallel.workers import Workers
from semilla.training.schedule import Schedule
from semilla.training.state import RunState, build_state

REHEARSED_S = 2.0
"""Time budget for the steps. At least two of each kind are timed."""
LEAST_STEPS, MOST_STEPS = 2, 8
ZIPF_OFFSET = 2.7
"""Mandelbrot's correction to Zipf's law: the k-th most frequent token has a frequency proportional to 1 / (k + 2.7)."""


@dataclass(frozen=True)
class Rehearsal:
    """Seconds of the two kinds of step and of an evaluation of as many tokens; peak memory of all processes in MiB.

    A ``sampled`` step has a sampled softmax, a ``full`` one the full softmax.
    """

    sampled_s: float
    full_s: float
    evaluation_s: float
    peak_mb: float


def rehearse(config: PipelineConfiguration) -> Rehearsal:
    """Train a new model for a few steps. Times are medians without the first step of each kind."""
    config = choose_device(config)
    precision = choose_environment(config.training_hyperparameters, device=config.device).precision
    with Workers(config) as workers:
        return rehearse_with(workers, config, precision=precision)


def rehearse_with(
    workers: Workers, config: PipelineConfiguration, *, precision: str, most_s: float = REHEARSED_S
) -> Rehearsal:
    """Train like ``rehearse``, with these workers. With 0 as ``most_s`` the number of steps is always the same."""
    keep_freed_blocks()
    times = {}
    data = make_text(config)
    state = build_state(config, vocab_size=config.tokenizer_vocab_size, precision=precision)
    workers.share(state, data)
    for share in (1.0, 0.0):
        changes = {"sampled_output_fraction": share, "short_context_fraction": 0.0}
        settings = config.training_hyperparameters.model_copy(update=changes)
        times[share] = statistics.median(_time_steps(state, settings, data, workers, most_s=most_s / 2))
    began_s = time.perf_counter()
    evaluate(state.model, data)
    evaluation_s = time.perf_counter() - began_s
    _, peak_mb = read_memory_mb()
    return Rehearsal(times[1.0], times[0.0], evaluation_s, peak_mb + workers.measure_memory_mb())


def make_text(config: PipelineConfiguration) -> TrainingData:
    """Random tokens with the frequencies of a text: one batch for training, and the same for validation."""
    settings = config.training_hyperparameters
    weights = 1 / (np.arange(config.tokenizer_vocab_size) + ZIPF_OFFSET)
    draw = np.random.default_rng(0)
    num_tokens = (settings.batch_size + 1) * settings.max_sequence_length
    tokens = draw.choice(config.tokenizer_vocab_size, num_tokens, p=weights / weights.sum())
    stream = tokens.astype(np.int32)
    held_out = (HeldOutText("en", stream[: -settings.max_sequence_length], 1),)
    return TrainingData(stream, held_out, settings.batch_size, settings.max_sequence_length, config.seed)


def _time_steps(
    state: RunState, settings: TrainingHyperparameters, data: TrainingData, workers: Workers, *, most_s: float
) -> list[float]:
    starts = np.arange(data.batch_size) * data.length
    times: list[float] = []
    while len(times) <= LEAST_STEPS or (sum(times) < most_s and len(times) < MOST_STEPS):
        state.step = 0
        info = take_step(state, settings, starts, schedule=Schedule(10**9), data=data, workers=workers)
        times.append(info.elapsed_s)
    return times[1:]


def main() -> None:
    """Read the configuration, print the rehearsal."""
    config = PipelineConfiguration.model_validate_json(sys.stdin.buffer.read())
    try:
        rehearsed = rehearse(config)
    except KilledError as error:  # a worker
        sys.exit(f"{error.category}: {error}")
    sys.stdout.write(json.dumps(asdict(rehearsed)) + "\n")


if __name__ == "__main__":
    main()
