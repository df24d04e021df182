"""SIGKILL at every call of the writer, at every call of each recovery, and so on, until nothing new comes up.

A killed process leaves its directory as it stood between two calls of ``semilla.records.disk``. A recorder stands
exactly there, and copies the directory; a write is also cut in half. Directories that differ only in clocks lead to
the same recovery, so each is continued once, recorded in its turn, and whatever it leaves at a kill of its own that
has not been seen yet is continued, too. When none is left, every chain of kills at calls of the writer ends well.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from semilla.records import disk, names
from semilla.records.files import TEMP_SUFFIX
from semilla.training import persistence
from semilla.training.checkpoint import read_sealed
from torture.forks import Reporter
from torture.lab import Lab, Trial
from torture.verdict import CLOCKS, find_temporaries, flatten, list_faults
from torture.workers import map_forked
from torture.workload import STEPS_PER_EPOCH

STEPS_BETWEEN_CHECKPOINTS = 2
EXEMPT = CLOCKS | {
    "pipeline_id", "attempt", "start_time", "updated_at", "finished_at", "phase_timings", "process_id", "details",
    "inference_metrics", "findings",
}  # fmt: skip
"""Fields of the status that tell the time, or what the machine measured."""
UNREAD = (TEMP_SUFFIX, names.LOG, names.LOCK, names.CONFIGURATION, names.REPORT)
"""Files that no recovery reads."""


@dataclass(frozen=True)
class State:
    """A directory that a kill left. ``origin``: at which call of the first run, of its recovery, and so on."""

    path: Path
    origin: tuple[int, ...]
    steps: int
    """Optimizer steps the attempt had done."""

    @property
    def name(self) -> str:
        return "-".join(map(str, self.origin)) or "first"


class Recorder:
    """Copies a directory at every call of the writer where something in it has changed since the last copy."""

    def __init__(self, directory: Path, copies: Path) -> None:
        self.directory = directory
        self.copies = copies
        self.num_calls = 0
        self.seen: object = None

    def install(self) -> None:
        """Stand before every function of the seam, and let training save by steps, not by the clock."""
        self.copies.mkdir(parents=True)
        for name in disk.CALLS:
            setattr(disk, name, partial(self._call, getattr(disk, name)))
        disk.write = partial(_write_halves, disk.write)
        # One tick a look: a checkpoint is due after so many steps, on any machine.
        persistence.time = SimpleNamespace(monotonic=itertools.count().__next__)  # type: ignore[assignment]

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.num_calls += 1
        files = [
            path for path in sorted(self.directory.rglob("*")) if path.is_file() and path.suffix != ".log"
        ]
        look = [(path, path.stat().st_ino, path.stat().st_size) for path in files]
        if look != self.seen:
            self.seen = look
            shutil.copytree(self.directory, self.copies / f"{self.num_calls}-{Reporter.last_step}")
        return function(*arguments)


def _write_halves(write: Callable[..., None], file: Any, data: Any) -> None:
    write(file, data[: len(data) // 2])
    file.flush()
    write(file, data[len(data) // 2 :])


def explore(root: Path, *, workers: int, sabotage: str = "", max_states: int = 10_000) -> Iterator[Trial]:
    """Continue every state that kills can lead to, one trial each, level by level of kills in a row."""
    lab = Lab(root, sabotage=sabotage, num_epochs=2, checkpoint_seconds=STEPS_BETWEEN_CHECKPOINTS)
    seen: set[str] = set()
    level = [State(root / "nothing", (), 0)]
    level[0].path.mkdir()
    index = 0
    while level:
        found: dict[str, State] = {}
        for trial, states in map_forked(partial(_continue, lab), level, workers=workers):
            yield {"index": index, **trial}
            index += 1
            for meaning, state in states.items():
                _prefer_temporaries(found, meaning, state)
        level = [state for meaning, state in found.items() if meaning not in seen][: max_states - index]
        seen |= set(found)


def _continue(lab: Lab, state: State) -> tuple[Trial, dict[str, State]]:
    """Recover from one state, recording; returns what was found, and the states that came up on the way."""
    copies = lab.root / "copies" / state.name
    with lab.open_directory(f"calls-{state.name}") as directory:
        shutil.copytree(state.path, directory, dirs_exist_ok=True)
        recorder = Recorder(directory, copies)
        faults = list_faults(directory, lab.reference)
        faults += lab.finish(directory, prepare_child=lambda: (lab.sabotage(), recorder.install()))
    states: dict[str, State] = {}
    num_calls = 0
    for path in sorted(copies.iterdir(), key=lambda path: int(path.name.split("-")[0])):
        num_calls, steps = map(int, path.name.split("-"))
        _prefer_temporaries(states, describe(path), State(path, (*state.origin, num_calls), steps))
    for path in set(copies.iterdir()) - {state.path for state in states.values()}:
        shutil.rmtree(path)
    trial = {
        "origin": state.origin,
        "calls": num_calls,
        "lost_steps": count_lost_steps(state),
        "faults": faults,
    }
    return trial, states


def _prefer_temporaries(states: dict[str, State], meaning: str, state: State) -> None:
    """Of two states that mean the same, keep the one in which a killed writer left more behind."""
    known = states.get(meaning)
    if known is None or len(find_temporaries(state.path)) > len(find_temporaries(known.path)):
        states[meaning] = state


def count_lost_steps(state: State) -> int:
    """Steps the killed attempt had done that no checkpoint of the state holds."""
    saved = [0]
    for path in state.path.glob(names.CHECKPOINT_PATTERN):
        _, kind, number = path.stem.split("_")
        saved.append(int(number) * (STEPS_PER_EPOCH if kind == "epoch" else 1))
    return max(0, state.steps - max(saved))


def describe(directory: Path) -> str:
    """What a recovery depends on, as a hash: every file that it reads, without clocks."""
    files = [
        path for path in sorted(directory.rglob("*")) if path.is_file() and not path.name.endswith(UNREAD)
    ]
    content = {str(path.relative_to(directory)): _describe_file(path) for path in files}
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()


def _describe_file(path: Path) -> object:
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if path.suffix == ".pt":
        if sha256 not in _archives:
            _archives[sha256] = _describe_archive(path)
        return _archives[sha256]
    if path.name in {names.STATUS, names.METRICS}:
        return _drop_exempt(json.loads(data))
    return sha256


_archives: dict[str, object] = {}
"""What archives seen before hold, by their hash: most copies of a directory hold the same."""


def _describe_archive(path: Path) -> object:
    try:
        return sorted(flatten("", read_sealed(path)), key=str)
    except Exception as error:  # a sabotaged writer leaves such files; the continued run is to find them
        return str(error)


def _drop_exempt(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _drop_exempt(part) for name, part in value.items() if name not in EXEMPT}
    if isinstance(value, list):
        return sorted((_drop_exempt(part) for part in value), key=str)
    return value


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """What all trials show together."""
    trials = list(trials)
    depths = [len(trial["origin"]) for trial in trials]
    return {
        "calls of the writer in the run": trials[0]["calls"] if trials else 0,
        "calls in all recoveries": sum(trial["calls"] for trial in trials[1:]),
        "different states continued, by kills in a row": {
            n: depths.count(n) for n in sorted(set(depths)) if n
        },
        "ended bit-identical": sum(not trial["faults"] for trial in trials),
        "of": len(trials),
        "steps lost, at most": max((trial["lost_steps"] for trial in trials), default=0),
        "steps between checkpoints": STEPS_BETWEEN_CHECKPOINTS,
    }
