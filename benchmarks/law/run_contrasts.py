"""Train the default network on small texts with few and many pieces, and with little and much dropout.

    python benchmarks/law/run_contrasts.py CACHE SOURCE... [--vocabularies 1000 2000 4000 8000] [--dropouts 0.2]
        [--bytes N] [--output FILE]

A SOURCE is what ``semilla run --corpus-source`` takes; ``--bytes`` takes the first N bytes of a file. Each run is a
line of JSON, as in the grid. The same command continues. It uses one thread.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from run_grid import add_line, cut_file, prepare_source, run_one

from semilla.configuration.schema import PipelineConfiguration
from semilla.system.allocator import keep_freed_blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cache", type=Path)
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
    parser.add_argument("--vocabularies", nargs="+", type=int, default=[1000, 2000, 4000, 8000])
    parser.add_argument("--dropouts", nargs="+", type=float, default=[0.2])
    parser.add_argument("--bytes", type=int, default=0)
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
    for source in options.sources:
        text = prepare(source, options.bytes, options.cache)
        for vocabulary in options.vocabularies:
            for dropout in options.dropouts:
                if (text, vocabulary, dropout) not in done:
                    plan = {name: flat[name] for name in names} | {"dropout": dropout}
                    plan = {"text": text, "vocabulary": vocabulary, **plan}
                    add_line(options.output, run_one(plan, options.cache / text))


def prepare(source: Path, num_bytes: int, cache: Path) -> str:
    """The name of the text's folder in ``cache``, which has its corpus and its split."""
    text = "-".join(source.with_suffix("").parts[-2:]) + (f"-{num_bytes // 1000}k" if num_bytes else "")
    folder = cache / text
    folder.mkdir(parents=True, exist_ok=True)
    if num_bytes:
        source = cut_file(source, num_bytes, folder / f"{text}.txt")
    prepare_source(folder, corpus_source=str(source.absolute()))
    return text


if __name__ == "__main__":
    main()
