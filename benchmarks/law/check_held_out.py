"""Train what a plan chooses, and what the defaults are, in the same time on texts that took no part in the fit.

    python benchmarks/law/check_held_out.py MIRROR CACHE [--output FILE]

The time is what the law expects of the defaults. Everything uses one thread. MIRROR also has ``odd-files`` beside its
cache. Texts that are recorded already are left out, so the same command continues.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from run_grid import cut_file, prepare_source, run_one

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_documents
from semilla.pipeline.dial import suit_settings
from semilla.planning.plan import describe_plan, make_plan
from semilla.planning.text_facts import measure_facts
from semilla.system.allocator import keep_freed_blocks

TEXTS = (
    # name, file below MIRROR or folder of this machine, bytes (0: all of it)
    ("de-werther", "odd-files/2407.no-end-marker-de.txt", 0),
    ("en-treasure-island-60k", "cache/epub/120/pg120.txt", 60_000),
    ("es-trafalgar-200k", "cache/epub/16961/pg16961.txt", 200_000),
    ("es-lazarillo", "cache/epub/320/pg320.txt", 0),
    ("code-email", "/usr/lib/python3.11/email", 0),
    ("en-secret-garden-300k", "cache/epub/113/pg113.txt", 300_000),
)
ASKED = (
    "num_layers", "d_model", "num_heads", "dim_feedforward", "batch_size", "max_sequence_length", "learning_rate",
    "dropout", "num_epochs",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mirror", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/quality-held-out.json"))
    options = parser.parse_args()
    keep_freed_blocks()
    rows = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else []
    for name, place, size in TEXTS:
        if name not in [row["text"] for row in rows]:
            rows.append(compare(name, options.mirror / place, size, options.cache))
            options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def compare(name: str, source: Path, size: int, cache: Path) -> dict[str, Any]:
    """What a plan and the defaults bring for one text."""
    folder = cache / name
    folder.mkdir(parents=True, exist_ok=True)
    prepare_source(
        folder, corpus_source=str(cut_file(source, size, folder / f"{name}.txt") if size else source)
    )
    facts = measure_facts(read_documents(folder))
    as_is = describe_plan(suit_settings(PipelineConfiguration(), facts), facts, speed=1.0)
    chosen = make_plan(PipelineConfiguration(), facts, seconds=as_is.seconds, speed=1.0)
    found: dict[str, Any] = {"text": name, "train_bytes": facts.train_bytes}
    for contender, plan in (("defaults", as_is), ("plan", chosen)):
        flat = plan.config.flatten()
        asked = {
            "text": name,
            "vocabulary": flat["tokenizer_vocab_size"],
            **{key: flat[key] for key in ASKED},
        }
        found[contender] = {
            "asked": asked,
            "expected_bits": plan.bits,
            "bits_range": plan.bits_range,
            "expected_s": plan.training_s,
            **{
                key: value
                for key, value in run_one(asked, folder).items()
                if key in {"bits_per_byte", "validation_loss", "processor_s", "train_tokens"}
            },
        }
        print(name, contender, plan.bits, found[contender]["bits_per_byte"][-1], flush=True)
    return found


if __name__ == "__main__":
    main()
