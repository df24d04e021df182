"""Run any number of trials of one harness: ``scripts/torture kills --trials 1000 --seed 7 --record kills.jsonl``.

Prints the seed, every trial that found a fault, and a summary of all trials at the end. The same seed repeats the same
trials; ``--record`` keeps them and skips those that it already has. Exits with 1 when a fault was found. ``sample``
serves the tests: it reads names of ``torture.sample``, one a line, and answers each with a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from torture import calls, damage, forks, interruptions, kills, powercuts, ranks, system_calls
from torture.commands import CommandLab
from torture.lab import Trial
from torture.ledger import Ledger
from torture.sabotage import SABOTAGES
from torture.sample import SAMPLE
from torture.workers import map_forked

MODULES: dict[str, ModuleType] = {
    "kills": kills,
    "commands": kills,
    "ranks": ranks,
    "interruptions": interruptions,
    "calls": calls,
    "powercuts": powercuts,
    "system-calls": system_calls,
    "damage": damage,
}
"""Experiment -> the module that summarizes its trials."""


def main() -> int:
    options = parse_options(sys.argv[1:])
    forks.prepare()
    if options.experiment != "sample":
        print(f"{options.experiment}: seed {options.seed}", flush=True)
        summary, faults = run_experiment(options)
        print(json.dumps(summary, ensure_ascii=False, indent=1))
        return 1 if faults else 0
    everywhere = ["--workers", str(options.workers), *(["--root", str(options.root)] if options.root else [])]
    for name in map(str.strip, sys.stdin):
        summary, faults = run_experiment(parse_options([*SAMPLE[name].split(), *everywhere]))
        print(json.dumps({**summary, "faults": faults[:5]}, ensure_ascii=False), flush=True)
    return 0


def parse_options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("experiment", choices=[*MODULES, "sample"])
    parser.add_argument("--trials", type=int, default=10, help="number of trials, including recorded ones")
    parser.add_argument("--minutes", type=float, default=1e6, help="start no trial after this time")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="random by default")
    parser.add_argument("--workers", type=int, default=1, help="trials in parallel")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append every trial to FILE")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="folder for trials (default: the temporary folder)"
    )
    parser.add_argument(
        "--sabotage", choices=SABOTAGES, default="", help="plant a defect, which must be found"
    )
    parser.add_argument(
        "--interruptions", type=int, default=25, help="interruptions of each run, in that experiment"
    )
    return parser.parse_args(words)


def run_experiment(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Make the trials; return their summary and all faults."""
    find_obstacle = getattr(MODULES[options.experiment], "find_obstacle", str)
    if obstacle := find_obstacle():
        return {"skipped": obstacle}, []
    ledger = Ledger(options.record, experiment=options.experiment, seed=options.seed)
    with tempfile.TemporaryDirectory(prefix="torture-", dir=options.root) as root:
        for trial in make_trials(Path(root), options, ledger):
            ledger.add(trial)
            if trial["faults"]:
                print(json.dumps(trial, ensure_ascii=False)[:2000], file=sys.stderr, flush=True)
                if options.sabotage:
                    break
    faults = [fault for trial in ledger.trials for fault in trial["faults"]]
    return MODULES[options.experiment].summarize(ledger.trials), faults


def make_trials(root: Path, options: argparse.Namespace, ledger: Ledger) -> Iterator[Trial]:
    """Prepare an experiment and make one trial for each index that is not recorded yet, until the time is up."""
    deadline_s = time.monotonic() + 60 * options.minutes
    if options.experiment == "calls":
        return calls.explore(
            root, workers=options.workers, sabotage=options.sabotage, max_states=options.trials
        )
    run_trial = prepare_trial(root, options)

    def run_in_time(index: int) -> Trial | None:
        return run_trial(index) if time.monotonic() < deadline_s else None

    todo = [index for index in range(options.trials) if not ledger.is_done(index)]
    return filter(None, map_forked(run_in_time, todo, workers=options.workers))


def prepare_trial(root: Path, options: argparse.Namespace) -> Callable[[int], Trial]:
    """Return the function that makes the trial of an index."""
    prepare = {
        "kills": kills.prepare,
        "commands": partial(kills.prepare, lab=CommandLab),
        "ranks": ranks.prepare,
        "interruptions": partial(interruptions.prepare, num_interruptions=options.interruptions),
        "powercuts": powercuts.prepare,
        "system-calls": system_calls.prepare,
        "damage": damage.prepare,
    }[options.experiment]
    return prepare(root, seed=options.seed, sabotage=options.sabotage)


if __name__ == "__main__":
    sys.exit(main())
