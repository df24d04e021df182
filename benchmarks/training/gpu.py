"""Measure training on a GPU: tokens a second, and the share of the device's rate of matrix products.

    python benchmarks/training/gpu.py

Trains the largest network of Semilla's ranges (12 layers of width 512, 32,000 pieces, context 1024) for some steps on
random tokens, with the full and with the sampled softmax, and times square products in the same precision. Prints JSON.
It has been run on processors only.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.model.shape import count_parameters
from semilla.training import accelerator
from semilla.training.devices import can_compile, choose_device, find_devices
from semilla.training.environment import DTYPES, choose_environment
from semilla.training.loop import take_step
from semilla.training.parallel.workers import Workers
from semilla.training.rehearsal import make_text
from semilla.training.schedule import Schedule
from semilla.training.state import build_state

WARM_UP_STEPS = 3
"""Steps before the clock starts: the first one compiles."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--num-layers", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--matrix", type=int, default=8192, help="rows and columns of the products that are timed"
    )
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    options = parser.parse_args()
    if options.eager:
        accelerator.can_compile = lambda device: False  # noqa: ARG005
    print(json.dumps(measure(options), indent=2))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    config = choose_device(configure(options))
    environment = choose_environment(config.training_hyperparameters, device=config.device)
    rate = measure_matrix_rate(config.device, DTYPES[environment.precision], size=options.matrix)
    found: dict[str, Any] = {
        "device": find_devices()[config.device],
        "environment": environment.as_json(),
        "compiled": can_compile(config.device) and not options.eager,
        "parameters": count_parameters(config),
        "batch": [options.batch_size, options.context],
        "matrix_teraflops": rate / 1e12,
    }
    for name, share in (("full", 0.0), ("sampled", 1.0)):
        seconds = time_step(config, environment.precision, sampled=share, steps=options.steps)
        found[name] = {"step_s": seconds, "tokens_per_s": options.batch_size * options.context / seconds}
    operations = count_operations(config)
    found["full"] |= {
        "teraflops": operations / found["full"]["step_s"] / 1e12,
        "share_of_matrix_rate": operations / found["full"]["step_s"] / rate,
    }
    if config.device == "cuda":
        found["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return found


def configure(options: argparse.Namespace) -> PipelineConfiguration:
    return PipelineConfiguration.model_validate(
        {
            "tokenizer_vocab_size": 32_000,
            "device": options.device,
            "model_architecture": {
                "num_layers": options.num_layers, "d_model": 512, "num_heads": 8, "dim_feedforward": 2048,
            },
            "training_hyperparameters": {
                "batch_size": options.batch_size, "max_sequence_length": options.context, "dropout": 0.0,
                "short_context_fraction": 0.0, "precision": options.precision,
            },
        }
    )  # fmt: skip


def count_operations(config: PipelineConfiguration) -> float:
    """Of a step with the full softmax: six for each token and parameter, and the causal half of attention."""
    shape, settings = config.model_architecture, config.training_hyperparameters
    attention = 6 * shape.num_layers * shape.d_model * settings.max_sequence_length
    return (6 * count_parameters(config) + attention) * settings.batch_size * settings.max_sequence_length


def measure_matrix_rate(device: str, dtype: torch.dtype, *, size: int, repeats: int = 10) -> float:
    """Operations a second of square matrix products; the best of three series."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    series = []
    for _ in range(4):  # the first warms up
        wait(device)
        began_s = time.perf_counter()
        for _ in range(repeats):
            left @ right
        wait(device)
        series.append(time.perf_counter() - began_s)
    return repeats * 2 * size**3 / min(series[1:])


def time_step(config: PipelineConfiguration, precision: str, *, sampled: float, steps: int) -> float:
    """Mean seconds of a step."""
    settings = config.training_hyperparameters.model_copy(update={"sampled_output_fraction": sampled})
    data = make_text(config)
    state = build_state(config, vocab_size=config.tokenizer_vocab_size, precision=precision)
    starts = torch.arange(data.batch_size).numpy() * data.length
    with Workers(config) as workers:
        workers.share(state, data)
        for step in range(WARM_UP_STEPS + steps):
            if step == WARM_UP_STEPS:
                wait(config.device)
                began_s = time.perf_counter()
            take_step(state, settings, starts, schedule=Schedule(10**9), data=data, workers=workers)
        wait(config.device)
    return (time.perf_counter() - began_s) / steps


def wait(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


if __name__ == "__main__":
    main()
