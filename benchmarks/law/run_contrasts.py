"""Train the default network on one small text with few and many pieces, and with little and much dropout.

    python benchmarks/law/run_contrasts.py MIRROR CACHE [--text es-marianela-50k] [--output FILE]

Each run is one line of JSON, as in the grid. The same command continues. It uses one thread.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from run_grid import add_line, run_one

from semilla.configuration.schema import PipelineConfiguration
from semilla.system.allocator import keep_freed_blocks

CONTRASTS = ((8000, 0.2), (1000, 0.5), (1000, 0.2), (8000, 0.5))
"""Pieces asked for, of which a small text supports fewer, and dropout. The defaults come first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mirror", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--text", default="es-marianela-50k")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/quality-contrasts.jsonl"))
    options = parser.parse_args()
    lines = options.output.read_text(encoding="utf-8").splitlines() if options.output.exists() else []
    done = [(row["text"], row["vocabulary"], row["dropout"]) for row in map(json.loads, lines)]
    keep_freed_blocks()
    flat = PipelineConfiguration().flatten()
    names = (
        "num_layers", "d_model", "num_heads", "dim_feedforward", "batch_size", "max_sequence_length", "learning_rate",
        "num_epochs",
    )  # fmt: skip
    for vocabulary, dropout in CONTRASTS:
        if (options.text, vocabulary, dropout) not in done:
            plan = {name: flat[name] for name in names} | {"dropout": dropout}
            plan = {"text": options.text, "vocabulary": vocabulary, **plan}
            add_line(options.output, run_one(plan, options.mirror, options.cache))


if __name__ == "__main__":
    main()
