"""SIGKILL at every system call that changes files, by strace; and at two of them, in a run and in its recovery.

``torture.calls`` intercepts the calls of our own writer. This harness intercepts those of the kernel: it counts every
write, fsync, rename, unlink and mkdir of the process, whichever code made it. The first trials kill at each of them;
the later ones are pairs drawn from the seed.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from torture.forks import ForkedRun
from torture.lab import Lab, Trial
from torture.verdict import list_faults

CALLS = ("write", "fsync", "/^rename", "/^unlink", "/^mkdir")
"""Names as strace has them; a pattern where systems have a call under several names."""


def find_obstacle() -> str:
    """Why nothing can be traced here; empty if it can."""
    return "" if shutil.which("strace") else "strace is not installed"


def prepare(root: Path, *, seed: int, sabotage: str = "") -> Callable[[int], Trial]:
    """Count the calls of an undisturbed run, and return the function that makes the trial of an index."""
    # A checkpoint after every step, so every run makes the same calls.
    lab = Lab(root, sabotage=sabotage, num_epochs=2, checkpoint_seconds=1e-6)
    calls = list_calls(lab)
    print(f"{len(calls)} calls: {dict(Counter(calls))}", flush=True)  # noqa: T201
    return partial(run_trial, lab, calls, seed=seed)


def list_calls(lab: Lab) -> list[str]:
    """The calls of an undisturbed run, in order."""
    log = lab.root / "strace.log"
    with lab.open_directory("rehearsal") as directory:
        run, tracer = start_traced(lab, directory, ["-o", str(log), "-e", f"trace={','.join(CALLS)}"])
        run.wait()
        tracer.wait()
    names = [match[1] for line in log.read_text().splitlines() if (match := re.match(r"(\w+)\(", line))]
    return [call for name in names for call in CALLS if re.match(call.lstrip("/"), name)]


def start_traced(lab: Lab, directory: Path, options: list[str]) -> tuple[ForkedRun, subprocess.Popen[bytes]]:
    """Start a run that waits until strace is attached to it."""

    def wait_for_tracer() -> None:
        lab.sabotage()
        os.kill(os.getpid(), signal.SIGSTOP)

    run = lab.start(directory, prepare_child=wait_for_tracer)
    os.waitpid(run.pid, os.WUNTRACED)
    tracer = subprocess.Popen(["strace", "-p", str(run.pid), *options], stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    if b"attached" not in tracer.stderr.readline():
        raise RuntimeError("strace could not be attached to a run")
    os.kill(run.pid, signal.SIGCONT)
    return run, tracer


def number_calls(calls: Iterable[str]) -> list[tuple[str, int]]:
    """Each call with the number of times it was made so far."""
    counts: Counter[str] = Counter()
    numbered = []
    for call in calls:
        counts[call] += 1
        numbered.append((call, counts[call]))
    return numbered


def draw_pair(calls: list[str], draw: random.Random) -> list[tuple[str, int]]:
    """A place in a run, and one in its recovery, which makes at least about the remaining calls."""
    first = draw.randrange(len(calls) - 1)
    return [number_calls(calls)[first], draw.choice(number_calls(calls[first + 1 :]))]


def run_trial(lab: Lab, calls: list[str], index: int, *, seed: int) -> Trial:
    """Kill a run at the place of this index, or two runs at random places; then let one finish."""
    draw = random.Random(f"{seed}:{index}")
    chosen = [number_calls(calls)[index]] if index < len(calls) else draw_pair(calls, draw)
    kills: list[str] = []
    faults: list[str] = []
    with lab.open_directory(f"system-calls-{index}") as directory:
        for call, number in chosen:
            inject = f"inject={call}:signal=SIGKILL:when={number}"
            run, tracer = start_traced(lab, directory, ["-o", "/dev/null", "-e", inject])
            run.wait()
            tracer.communicate()
            if run.status == -signal.SIGKILL:
                kills.append(f"{call.lstrip('/^')} {number}")
                newest = run.standing[-1] if run.standing else None
                found = list_faults(directory, lab.reference, announced=newest)
                faults += [f"after kill {len(kills)}: {fault}" for fault in found]
            elif run.status:
                faults.append(f"ended with {run.status}: {run.error}")
        faults += lab.finish(directory)
    return {"index": index, "planned": len(chosen), "kills": kills, "faults": faults}


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Summarize all trials. In a few pairs the second kill comes too late: a recovery may make fewer calls."""
    trials = list(trials)
    singles = [trial for trial in trials if trial["planned"] == 1]
    pairs = [trial for trial in trials if trial["planned"] == 2 and len(trial["kills"]) == 2]
    return {
        "calls killed at": dict(Counter(t["kills"][0].split()[0] for t in singles if t["kills"])),
        "ended bit-identical": sum(not trial["faults"] for trial in singles),
        "of": len(singles),
        "pairs killed at": len(pairs),
        "pairs ended bit-identical": sum(not trial["faults"] for trial in pairs),
    }
