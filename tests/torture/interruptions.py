"""One run interrupted many times, by SIGKILL right after a step or a checkpoint."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from torture.lab import Lab, Trial
from torture.verdict import list_faults

BATCH_SIZE, STEPS_PER_EPOCH = 8, 20
"""Least steps of an epoch with batches this small; hundreds of interruptions need more steps than epochs."""


def prepare(
    root: Path, *, seed: int, sabotage: str = "", num_interruptions: int = 25
) -> Callable[[int], Trial]:
    """Make what trials need. There are enough epochs: at most two steps lie between two interruptions."""
    num_epochs = -(-2 * num_interruptions // STEPS_PER_EPOCH) + 1
    # A checkpoint after every step, so each attempt advances by one or two steps.
    settings = {"batch_size": BATCH_SIZE, "num_epochs": num_epochs, "checkpoint_seconds": 1e-6}
    lab = Lab(root, sabotage=sabotage, **settings)
    return partial(run_trial, lab, seed=seed, num_interruptions=num_interruptions)


def run_trial(lab: Lab, index: int, *, seed: int, num_interruptions: int) -> Trial:
    """Interrupt one run a number of times, then let it finish; the same seed interrupts at the same steps."""
    draw = random.Random(f"{seed}:{index}")
    steps, faults = [], []
    with lab.open_directory(f"interruptions-{index}") as directory:
        for number in range(num_interruptions):
            run = lab.start(directory, fuse=draw.choice((2, 3, 4)))
            if run.wait() != -signal.SIGKILL:
                faults.append(f"attempt {number + 1} ended with {run.status}: {run.error}")
                break
            steps.append(run.steps)
            found = list_faults(directory, lab.reference, announced=run.standing[-1])
            faults += [f"after interruption {number + 1}: {fault}" for fault in found]
        faults += lab.finish(directory)
    return {"index": index, "interrupted_at_steps": steps, "faults": faults}


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Summarize all trials."""
    trials = list(trials)
    return {
        "runs": len(trials),
        "bit-identical": sum(not trial["faults"] for trial in trials),
        "interruptions in each": [len(trial["interrupted_at_steps"]) for trial in trials],
    }
