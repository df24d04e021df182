"""Flipped bits and truncated files: every check before an artifact is used must refuse each of them."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from semilla.corpus.manifest import read_documents
from semilla.errors import SemillaError
from semilla.pipeline.main_job import read_run_configuration
from semilla.records import names
from semilla.records.files import verify_artifact
from semilla.records.metrics import read_metrics
from semilla.records.status import read_status
from semilla.runtime.bundle import read_bundle
from semilla.training.checkpoints import checkpoint
from torture.lab import Lab, Trial
from torture.sabotage import SABOTAGES

DAMAGES_PER_TRIAL = 250


@dataclass(frozen=True)
class Gate:
    """A check that raises SemillaError when ``path`` is not what was written."""

    path: Path
    name: str
    check: Callable[[], object]


def prepare(root: Path, *, seed: int, sabotage: str = "") -> Callable[[int], Trial]:
    """Make a finished run, and return the function that makes the trial of an index."""
    return partial(run_trial, Lab(root), seed=seed, sabotage=sabotage)


def list_gates(directory: Path) -> list[Gate]:
    """Every artifact of a finished run, with every check that the program makes of it."""
    status = read_status(directory)
    assert status is not None
    gates = [
        Gate(directory / artifact.path, "recorded hash", partial(verify_artifact, artifact, root=directory))
        for entry in status.phase_records.values()
        for artifact in entry.artifacts
    ]
    gates += [
        Gate(path, "seal", lambda path=path: checkpoint.read_sealed(path)) for path in directory.glob("*.pt")
    ]
    bundle = directory / names.BUNDLE
    gates += [Gate(path, "bundle", partial(read_bundle, bundle)) for path in sorted(bundle.iterdir())]
    for name, check in (
        (names.STATUS, read_status),
        (names.CORPUS, read_documents),
        (names.CONFIGURATION, read_run_configuration),
    ):
        gates.append(Gate(directory / name, check.__name__, partial(check, directory)))
    gates.append(
        Gate(directory / names.METRICS, "read_metrics", partial(read_metrics, directory / names.METRICS))
    )
    return gates


def run_trial(lab: Lab, index: int, *, seed: int, sabotage: str = "") -> Trial:
    """Damage the files of a copy one after another, each in one place, and restore each."""
    if sabotage:
        SABOTAGES[sabotage]()  # in this process, which is forked for this trial
    draw = random.Random(f"{seed}:{index}")
    directory = shutil.copytree(lab.reference.directory, lab.root / f"damage-{index}")
    gates = list_gates(directory)
    for gate in gates:
        gate.check()
    counts: Counter[str] = Counter()
    faults = []
    for _ in range(DAMAGES_PER_TRIAL):
        gate = draw.choice(gates)
        whole = gate.path.read_bytes()
        kind, where, damaged = damage(whole, draw)
        gate.path.write_bytes(damaged)
        try:
            gate.check()
        except SemillaError:
            pass
        except Exception as error:
            faults.append(f"{gate.name} of {gate.path.name}, {kind} {where}: {type(error).__name__}: {error}")
        else:
            faults.append(f"{gate.name} of {gate.path.name}, {kind} {where}: accepted as good")
        finally:
            gate.path.write_bytes(whole)
        counts[kind] += 1
    shutil.rmtree(directory)
    return {"index": index, **counts, "faults": faults}


def damage(whole: bytes, draw: random.Random) -> tuple[str, int, bytes]:
    """Flip one bit, or truncate the file, possibly to 0 bytes; return what, where, and the result."""
    if draw.random() < 0.5:
        where = draw.randrange(8 * len(whole))
        changed = bytearray(whole)
        changed[where // 8] ^= 1 << where % 8
        return "flipped bit", where, bytes(changed)
    where = draw.randrange(len(whole))
    return "cut to byte", where, whole[:where]


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Summarize all trials."""
    trials = list(trials)
    kinds = {kind: sum(trial.get(kind, 0) for trial in trials) for kind in ("flipped bit", "cut to byte")}
    return {
        "damages": sum(kinds.values()),
        **kinds,
        "accepted as good": sum(len(trial["faults"]) for trial in trials),
    }
