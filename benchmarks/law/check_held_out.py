"""Plan for texts that took no part in the fit, train what was planned, and compare.

    python benchmarks/law/check_held_out.py MIRROR CACHE [--seconds 8] [--output FILE]

``--seconds`` are those of one thread's training. MIRROR also has ``odd-files`` beside its cache.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from choose import FILL, FIXED_S, PER_MB_S, make_plan
from run_grid import cut, run_one
from speed import Speed
from text_facts import TextFacts, measure_facts

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.cleaning.clean import clean_file
from semilla.corpus.manifest import read_documents
from semilla.events import silent
from semilla.pipeline.phases import corpus_download

TEXTS = (
    # name, file below MIRROR, bytes (0: all of it)
    ("de-werther", "odd-files/2407.no-end-marker-de.txt", 0),
    ("en-treasure-island-60k", "cache/epub/120/pg120.txt", 60_000),
    ("es-trafalgar-200k", "cache/epub/16961/pg16961.txt", 200_000),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mirror", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/quality-held-out.json"))
    options = parser.parse_args()
    rows = []
    for name, place, size in TEXTS:
        folder = prepare(name, options.mirror / place, size, options.cache)
        facts = measure_facts(read_documents(folder))
        plan = make_plan(
            PipelineConfiguration(), facts, minutes=count_minutes(options.seconds, facts), speed=Speed(1.0)
        )
        flat = plan.config.flatten()
        asked = {
            key: flat[key]
            for key in (
                "num_layers", "d_model", "num_heads", "dim_feedforward", "batch_size", "max_sequence_length",
                "learning_rate", "dropout", "num_epochs",
            )
        }  # fmt: skip
        found = run_one(
            {"text": name, "vocabulary": flat["tokenizer_vocab_size"], **asked}, options.mirror, options.cache
        )
        expected = {
            "bits": plan.bits,
            "bits_range": plan.bits_range,
            "seconds": plan.seconds - fixed_s(facts),
        }
        rows.append({**found, "expected": expected})
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        print(
            name, plan.bits, found["bits_per_byte"][-1], expected["seconds"], found["processor_s"], flush=True
        )


def fixed_s(facts: TextFacts) -> float:
    """What a plan counts beside the training."""
    return FIXED_S + PER_MB_S * (facts.train_bytes + facts.held_out_bytes) / 1e6


def count_minutes(seconds: float, facts: TextFacts) -> float:
    """Minutes of a plan with so many seconds of training."""
    return (fixed_s(facts) + seconds) / FILL / 60


def prepare(name: str, path: Path, size: int, cache: Path) -> Path:
    """The folder with the text's corpus, as ``run_grid`` makes it."""
    folder = cache / name
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{name}.txt"
    source.write_bytes(cut(clean_file(path.read_bytes(), name=path.name).text, size))
    corpus_download.run(
        PipelineConfiguration(output_directory=str(folder), corpus_source=str(source)), progress=silent
    )
    return folder


if __name__ == "__main__":
    main()
