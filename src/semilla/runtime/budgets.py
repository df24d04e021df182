"""Measures what a model costs on a device: its memory, its latency and its throughput.

    python -m semilla.runtime.budgets BUNDLE

prints the figures as JSON. They only mean something in a fresh process, which ``measure_in_child`` starts. MB are MiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semilla.errors import CATEGORIES, OutOfMemoryError, SemillaError, ValidationFailureError
from semilla.runtime.child import run_child
from semilla.system.children import explain_end
from semilla.system.endings import read_marks
from semilla.system.footprint import read_memory_mb

if TYPE_CHECKING:
    from semilla.runtime.session import Model

BUDGETS: dict[str, int] = {"rss_mb": 400, "peak_mb": 512, "latency_p95_ms": 250}
"""The largest values that the specification allows."""

WARM_UP_STEPS = 20
NUM_SAMPLES = 1000
GENERATED_TOKENS = 500
TIMEOUT_S = 600


def measure(bundle_path: Path, *, num_samples: int = NUM_SAMPLES) -> dict[str, Any]:
    """Load, generate, time single steps at the end of a full context, and read this process's memory.

    ``first_token_ms`` runs from before the imports to the first token. ``latency_*`` is one step: read a token and
    choose the next. ``tokens_per_sec`` is generation with everything that belongs to it.
    """
    start_s = time.perf_counter()
    from semilla.runtime import session  # noqa: PLC0415 - loading the runtime is part of the measurement

    model = session.load(bundle_path)
    next(model.stream(seed=0), "")
    first_token_s = time.perf_counter() - start_s
    tokens_per_sec = measure_throughput(model)
    steps_us = sorted(measure_steps(model, num_samples=num_samples))
    rss_mb, peak_mb = read_memory_mb()
    p50, p95, p99 = (round(pick_percentile(steps_us, share), 1) for share in (0.50, 0.95, 0.99))
    metrics = {
        "rss_mb": ceil(rss_mb),
        "peak_mb": ceil(peak_mb),
        "latency_p95_ms": ceil(p95 / 1000),
        "latency_p50_us": p50,
        "latency_p95_us": p95,
        "latency_p99_us": p99,
        "tokens_per_sec": round(tokens_per_sec, 1),
        "first_token_ms": round(first_token_s * 1000, 1),
        "exact_rss_mb": round(rss_mb, 3),
        "exact_peak_mb": round(peak_mb, 3),
        "num_samples": num_samples,
        "context_tokens": int(model.bundle.model["max_position_embeddings"]),
    }
    return {**metrics, "within_budgets": all(metrics[name] <= most for name, most in BUDGETS.items())}


def measure_throughput(model: Model) -> float:
    """Tokens per second over at least GENERATED_TOKENS, from an empty prompt, context refills included."""
    start_s, num_tokens, seed = time.perf_counter(), 0, 0
    while num_tokens < GENERATED_TOKENS:
        stream = model.stream(seed=seed, max_tokens=GENERATED_TOKENS)
        for _ in stream:
            pass
        num_tokens += max(1, len(stream.token_ids))  # choosing the end token is a step, too
        seed += 1
    return num_tokens / (time.perf_counter() - start_s)


def measure_steps(model: Model, *, num_samples: int) -> list[float]:
    """Microseconds of each step that fills the last position of the context, after a warm-up."""
    import numpy as np  # noqa: PLC0415

    context = model.open_context(model.bundle.settings)
    last, steps_us = context.capacity - 1, []
    context.read(np.resize(model.encode(model.generate(seed=0)), last))
    for _ in range(WARM_UP_STEPS + num_samples):
        start_ns = time.perf_counter_ns()
        context.advance()
        steps_us.append((time.perf_counter_ns() - start_ns) / 1000)
        context.forget(from_position=last)
    return steps_us[WARM_UP_STEPS:]


def pick_percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the ``ordered`` values that at least ``share`` of them do not exceed (nearest rank)."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def measure_in_child(bundle_path: Path, *, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Run ``measure`` in a fresh process with the default allocator.

    Raises the child's own error, OutOfMemoryError or KilledError when it was killed, or ValidationFailureError with its
    last lines.
    """
    marks = read_marks()
    try:
        child = run_child("semilla.runtime.budgets", [str(bundle_path)], timeout_s=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise ValidationFailureError(
            f"measuring the model on one core took over {timeout_s:g} s", missed=list(BUDGETS)
        ) from error
    if child.returncode != 0:
        raise explain_failure(child, marks)
    metrics: dict[str, Any] = json.loads(child.stdout)
    return metrics


def explain_failure(child: subprocess.CompletedProcess[bytes], marks: Mapping[str, Any]) -> SemillaError:
    """The error that ended the child, from its exit status and the last lines it wrote.

    ``marks`` are those of ``endings.read_marks`` before it started.
    """
    lines = child.stderr.decode("utf-8", "replace").strip().splitlines()[-5:]
    category, _, message = (lines or [""])[-1].partition(": ")
    ending = explain_end(child.returncode, marks)
    if isinstance(ending, MemoryError) or category == "MemoryError":
        return OutOfMemoryError("memory ran out while the model was measured")
    if isinstance(ending, SemillaError):
        return ending
    if category in CATEGORIES:
        return CATEGORIES[category](message)
    last = " | ".join(lines) or f"no message, exit {child.returncode}"
    return ValidationFailureError(f"the model could not be measured: {last}", missed=list(BUDGETS))


def main(arguments: Sequence[str]) -> None:
    try:
        metrics = measure(Path(arguments[0]))
    except SemillaError as error:
        sys.exit(f"{error.category}: {' '.join(error.message.split())}")
    sys.stdout.write(json.dumps(metrics) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
