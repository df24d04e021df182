"""Train what the law chooses for texts of the grid, add it to the recorded runs, and fit again.

    python benchmarks/law/run_chosen.py MIRROR CACHE [--minutes 20]

What a search likes best is where a law errs most, so these are the runs that it learns most from. Each run is one line
of JSON, as in the grid. It uses one thread, and stops before a run that would begin after ``--minutes`` of processor
time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import fit
from run_grid import add_line, prepare_text, run_one

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_documents
from semilla.pipeline.dial import suit_settings
from semilla.planning import law
from semilla.planning.plan import describe_plan, make_plan
from semilla.planning.text_facts import measure_facts
from semilla.system.allocator import keep_freed_blocks

TEXTS = (
    "en-sherlock-50k",
    "es-pazos-100k",
    "en-dracula-200k",
    "es-marianela-50k",
    "pt-casmurro-200k",
    "es-quijote-400k",
)
SHARES = (1.0, 0.5, 2.0)
"""Of the time that is expected of the defaults."""
OUTPUT = fit.RESULTS / "quality-chosen.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mirror", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    keep_freed_blocks()
    num_done = len(list(fit.read_rows(OUTPUT.name)))
    for place, (share, name) in enumerate(itertools.cycle(itertools.product(SHARES, TEXTS))):
        if time.process_time() > 60 * options.minutes:
            break
        if place >= num_done:
            choose(name, share, options.mirror, options.cache)


def choose(name: str, share: float, mirror: Path, cache: Path) -> None:
    """Train one plan, and fit the law again."""
    folder = prepare_text(name, mirror, cache)
    facts, config = measure_facts(read_documents(folder)), PipelineConfiguration()
    as_is = describe_plan(suit_settings(config, facts), facts, speed=1.0)
    plan = make_plan(config, facts, seconds=share * as_is.seconds, speed=1.0)
    flat = plan.config.flatten()
    asked = {setting: flat[setting] for setting in law.SETTINGS.values()} | {"num_heads": flat["num_heads"]}
    row = run_one({"text": name, "vocabulary": asked.pop("tokenizer_vocab_size"), **asked}, folder)
    add_line(OUTPUT, {**row, "expected_bits": round(plan.bits, 4)})
    runs = fit.join(fit.read_grid(), fit.read_recorded())
    found = {**json.loads(fit.TARGET.read_text()), **fit.fit_coefficients(runs, fit.read_grid())}
    fit.TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    law.read_fitted.cache_clear()


if __name__ == "__main__":
    main()
