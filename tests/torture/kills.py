"""SIGKILL at random instants of all five phases, once to three times; the run that follows ends in the same bits."""

from __future__ import annotations

import random
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


def prepare(root: Path, *, seed: int, sabotage: str = "", lab: type[Lab] = Lab) -> Callable[[int], Trial]:
    """Make what trials need, and return the function that makes the one of an index."""
    return partial(run_trial, lab(root, sabotage=sabotage), seed=seed)


def run_trial(lab: Lab, index: int, *, seed: int) -> Trial:
    """Kill a run, and perhaps those that continue it; then let one finish.

    Which phase is hit, and how far into it, is drawn from the seed; the instant itself also depends on the machine.
    """
    draw = random.Random(f"{seed}:{index}")
    kills: list[Trial] = []
    while not kills:  # a run that was faster than the kill is no trial
        with lab.open_directory(f"kills-{index}") as directory:
            kills, faults = _kill_runs(lab, directory, draw)
            if kills:
                faults += lab.finish(directory)
    return {"index": index, "kills": kills, "faults": faults}


def _kill_runs(lab: Lab, directory: Path, draw: random.Random) -> tuple[list[Trial], list[str]]:
    kills: list[Trial] = []
    faults: list[str] = []
    for _ in range(draw.choice((1, 1, 2, 3))):
        run = lab.start(directory)
        phase, share = draw.choice(PHASES), draw.random()
        run.follow(until=lambda run=run, phase=phase: phase in run.phase_began_s)
        run.follow(for_s=share * lab.durations_s[phase])
        if not run.kill():
            faults += [f"ended with {run.status}: {run.error}"] if run.status else []
            break
        kills.append(describe_kill(run))
        newest = run.standing[-1] if run.standing else None
        faults += [
            f"after kill {len(kills)}: {f}" for f in list_faults(directory, lab.reference, announced=newest)
        ]
    return kills, faults


def describe_kill(run: ForkedRun) -> Trial:
    """Where it hit; in training also what was lost: steps, and seconds since a checkpoint or the beginning."""
    if run.phase != "model_training":
        return {"phase": run.phase}
    lost_s = round(run.ended_s - run.unsaved_since_s, 4)
    return {"phase": run.phase, "step": run.steps, "lost_steps": run.unsaved_steps, "lost_s": lost_s}


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """What all trials show together."""
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
