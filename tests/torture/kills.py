"""SIGKILL at random instants of all five phases, one to twelve times; the last run ends bit-identical."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from semilla.errors import PHASES
from torture.forks import ForkedRun
from torture.lab import Lab, Trial
from torture.verdict import list_faults
from torture.workload import STEPS_PER_EPOCH

KILLS_PER_TRIAL = (1, 2, 5, 12)
"""A trial draws one of these."""


def prepare(root: Path, *, seed: int, sabotage: str = "", lab: type[Lab] = Lab) -> Callable[[int], Trial]:
    """Make what trials need, and return the function that makes the one of an index."""
    return partial(run_trial, lab(root, sabotage=sabotage), seed=seed)


def run_trial(lab: Lab, index: int, *, seed: int) -> Trial:
    """Kill a run, and possibly the runs that continue it; then let one finish.

    The number of kills, the phases and the times in them are drawn from the seed; the exact instant also depends on the
    machine. A run that finishes before all kills were made is compared, too, and another is started for the rest.
    """
    draw = random.Random(f"{seed}:{index}")
    num_kills = draw.choice(KILLS_PER_TRIAL)
    kills: list[Trial] = []
    faults: list[str] = []
    while len(kills) < num_kills and not faults:
        with lab.open_directory(f"kills-{index}") as directory:
            # In the order of the phases, because later runs only verify a phase that is done.
            for place in sorted(len(PHASES) * draw.random() for _ in range(num_kills - len(kills))):
                run = _kill_run(lab, directory, PHASES[int(place)], share=place % 1)
                if run.status != -signal.SIGKILL:
                    faults += [f"ended with {run.status}: {run.error}"] if run.status else []
                    break
                kills.append(describe_kill(run))
                newest = run.standing[-1] if run.standing else None
                found = list_faults(directory, lab.reference, announced=newest)
                faults += [f"after kill {len(kills)}: {fault}" for fault in found]
            faults += lab.finish(directory)
    return {"index": index, "kills": kills, "faults": faults}


def _kill_run(lab: Lab, directory: Path, phase: str, *, share: float) -> ForkedRun:
    """Start a run and send it SIGKILL at a random time of a phase, as long as that takes undisturbed."""
    run = lab.start(directory)
    run.follow(until=lambda: phase in run.phase_began_s)
    run.follow(for_s=share * lab.durations_s[phase])
    run.kill()
    return run


def describe_kill(run: ForkedRun) -> Trial:
    """Where the kill hit; in training also the lost steps and the seconds since a checkpoint or the start."""
    if run.phase != "model_training":
        return {"phase": run.phase}
    lost_s = round(run.ended_s - run.unsaved_since_s, 4)
    return {"phase": run.phase, "step": run.steps, "lost_steps": run.unsaved_steps, "lost_s": lost_s}


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Summarize all trials."""
    trials = list(trials)
    kills = [kill for trial in trials for kill in trial["kills"]]
    phases = Counter(kill["phase"] for kill in kills)
    return {
        "trials": len(trials),
        "bit-identical": sum(not trial["faults"] for trial in trials),
        "kills": len(kills),
        "kills by phase": {
            phase or "before the first": phases[phase] for phase in ("", *PHASES) if phases[phase]
        },
        "kills between two steps of an epoch": sum(
            kill.get("step", 0) % STEPS_PER_EPOCH > 0 for kill in kills
        ),
        "work lost by a kill in training": {
            name: {"median": median(lost), "worst": max(lost)}
            for name in ("lost_steps", "lost_s")
            if (lost := [kill[name] for kill in kills if name in kill])
        },
    }
