"""Runs of two ranks, of which one gets SIGKILL at a random instant; the others must end, and the run goes on."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ranked import Launch

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import SemillaError
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.ranked_run import follow, lead
from semilla.system.ranks import read_place
from semilla.terminal.console import print_error
from torture.lab import Lab, Trial
from torture.verdict import compare, describe_reference, list_faults

SIZE = 2
MAX_KILLS = 4
"""In one run."""
MAX_END_S = 60
"""Time for the other ranks to end, on a machine that does other work as well."""
SETTINGS = {"num_epochs": 12, "max_sequence_length": 32, "batch_size": 32}


class RankLab(Lab):
    """A lab whose reference is a run of several ranks."""

    def __init__(self, root: Path, **settings: Any) -> None:
        super().__init__(root, **settings)
        began_s = time.monotonic()
        launch = self.launch(root / "reference-of-ranks", prepare=list)
        if launch.wait() != [0] * SIZE:
            raise RuntimeError(f"the reference run of ranks failed: {launch.read_log(0)}")
        self.duration_s = time.monotonic() - began_s
        self.reference = describe_reference(root / "reference-of-ranks", text=self.text)

    def launch(
        self, directory: Path, *, restarts: int = 0, prepare: Callable[[], object] | None = None
    ) -> Launch:
        """Start all ranks of a run."""
        config, plant = self.configure(directory), prepare or self.sabotage

        def act() -> int:
            plant()
            return run_rank(config)

        return Launch(act, size=SIZE, restarts=restarts, logs=self.root / f"logs-{directory.name}")


def run_rank(config: PipelineConfiguration) -> int:
    """What ``semilla run --resume`` does in each rank."""
    try:
        if read_place().rank:
            return follow(config)
        with lead(config):
            run_pipeline(config, resume=True)
    except SemillaError as error:
        print_error(error, command="run")
        return error.status
    return 0


def prepare(root: Path, *, seed: int, sabotage: str = "") -> Callable[[int], Trial]:
    """Make the reference run."""
    return partial(run_trial, RankLab(root, sabotage=sabotage, **SETTINGS), seed=seed)


def run_trial(lab: RankLab, index: int, *, seed: int) -> Trial:
    """Kill a rank of one run some times, then let the run finish."""
    draw = random.Random(f"{seed}:{index}")
    kills: list[dict[str, Any]] = []
    faults: list[str] = []
    with lab.open_directory(f"ranks-{index}") as directory:
        for number in range(draw.randint(1, MAX_KILLS)):
            launch = lab.launch(directory, restarts=number)
            rank = draw.randrange(SIZE)
            time.sleep(draw.uniform(0, lab.duration_s))
            launch.kill(rank)
            began_s = time.monotonic()
            codes = launch.wait()
            end_s = time.monotonic() - began_s
            if codes[rank] != -signal.SIGKILL or 0 in codes:  # the run had ended before
                break
            texts = [text for other in range(SIZE) if (text := launch.read_log(other))]
            told = texts[0].partition("\n")[0] if texts else ""
            kills.append({"rank": rank, "codes": codes, "end_s": round(end_s, 2), "told": told})
            faults += find_faults(kills[-1], texts)
            found = list_faults(directory, lab.reference, may_fail=True)
            faults += [f"after kill {number + 1}: {fault}" for fault in found]
        launch = lab.launch(directory, restarts=len(kills))
        if launch.wait() != [0] * SIZE:
            faults.append(f"the resumed run ended with {launch.codes}: {launch.read_log(0)}")
        else:
            faults += compare(directory, lab.reference)
    return {"index": index, "kills": kills, "faults": faults}


def find_faults(kill: dict[str, Any], texts: list[str]) -> list[str]:
    """What was wrong with how the other ranks ended."""
    faults = [] if kill["end_s"] < MAX_END_S else [f"it took {kill['end_s']} s to end"]
    if -signal.SIGTERM in kill["codes"]:  # the launcher ended the other one while it started
        return faults
    if len(texts) != 1 or [line.split(":")[0].split("[")[0] for line in texts[0].splitlines()] != [
        "error", "kept", "next", "help",
    ]:  # fmt: skip
        faults.append(f"not one message: {texts}")
    return faults


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Summarize all trials."""
    trials = list(trials)
    kills = [kill for trial in trials for kill in trial["kills"]]
    return {
        "trials": len(trials),
        "bit-identical": sum(not trial["faults"] for trial in trials),
        "kills": len(kills),
        "kills of rank 0": sum(kill["rank"] == 0 for kill in kills),
        "seconds until all had ended, at most": max((kill["end_s"] for kill in kills), default=None),
    }
