"""What the guide shows of recorded experiments: a run that overfits, and what the law of quality expects of sizes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.planning.plan import expect, list_designs, rank
from semilla.planning.text_facts import TextFacts

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
OVERFITTED = {"text": "en-time-machine", "vocabulary": 4000}
"""The run of ``quality-contrasts.jsonl`` whose losses are drawn. Its shape, rate and dropout are the defaults."""
NUM_ROWS = 8
BOOKS = {
    "en-sherlock-50k": "Sherlock Holmes",
    "en-dracula-200k": "Dracula",
    "en-pride-700k": "Pride and Prejudice",
    "es-fortunata": "Fortunata y Jacinta",
}
"""Recorded texts by size, and the books that they come from."""
SHAPES = ((1, 64), (2, 128), (4, 256))
"""Layers and width. The feed-forward width is twice the width."""


def read_results(name: str) -> list[dict[str, Any]]:
    lines = (RESULTS / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def read_overfitted() -> dict[str, Any]:
    """The one run that has all of ``OVERFITTED``."""
    (found,) = (run for run in read_results("quality-contrasts.jsonl") if run.items() >= OVERFITTED.items())
    return found


def collect_overfitting(run: Mapping[str, Any]) -> dict[str, float]:
    """The figures that chapter 7 quotes."""
    losses = run["validation_loss"]
    return {
        "overfitted_epochs": len(losses),
        "overfitted_best_epoch": losses.index(min(losses)) + 1,
        "overfitted_best_loss": min(losses),
        "overfitted_last_loss": losses[-1],
        "overfitted_training_loss": run["train_loss"][-1],
    }


def draw_losses(run: Mapping[str, Any]) -> str:
    """Draw training (●) and validation loss (○) by epoch. The first epoch, far above the others, is left out."""
    lines = {"●": run["train_loss"][1:], "○": run["validation_loss"][1:]}
    most, least = max(map(max, lines.values())), min(map(min, lines.values()))
    step = (most - least) / (NUM_ROWS - 1)
    num_epochs = len(lines["●"])
    grid = [[" "] * num_epochs for _ in range(NUM_ROWS)]
    for mark, losses in lines.items():
        for place, loss in enumerate(losses):
            grid[round((most - loss) / step)][place] = mark
    drawn = [f"{most - row * step:5.2f} ┤  {'  '.join(marks)}".rstrip() for row, marks in enumerate(grid)]
    axis = "      └" + "───" * num_epochs
    numbers = "       " + "".join(f"{place + 2:3}" for place in range(num_epochs))
    return "\n".join(["```text", *drawn, axis, numbers, "```"])


def list_sizes() -> Iterator[tuple[str, ...]]:
    """For each book, the bits per byte that the law expects of each shape, and in brackets after how many epochs."""
    runs = [run for name in ("quality-chosen.jsonl", "quality-grid.jsonl") for run in read_results(name)]
    facts = {run["text"]: TextFacts(**run["facts"]) for run in runs if "facts" in run}
    for text, title in BOOKS.items():
        yield (
            f"*{title}*, {facts[text].train_bytes / 1e6:.2f} MB",
            *(expect_best(facts[text], layers, width) for layers, width in SHAPES),
        )


def expect_best(facts: TextFacts, layers: int, width: int) -> str:
    """The best that the law expects of a shape, whatever it takes, and the epochs that it takes."""
    shape = {"num_layers": layers, "d_model": width, "dim_feedforward": 2 * width}
    config = PipelineConfiguration().change(**shape)
    designs, _ = list_designs(config, facts, explicit=shape.keys())
    outcome = expect(designs, facts, speed=1.0, keeps_rate=False)
    best = rank(outcome, facts, seconds=math.inf, max_loss=math.inf)[0]
    return f"{outcome.bits[best]:.2f} ({outcome.design.epochs[best]:.0f})"
