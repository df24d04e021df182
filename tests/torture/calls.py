"""SIGKILL and power cuts at every call of the writer, and at every call of each recovery, until no new state appears.

A recorder wraps the calls of ``semilla.records.disk``. At each call it keeps the directory that a kill would leave,
also with a write cut in half, and the one that a power cut would leave (``torture.views``). Directories that differ
only in times lead to the same recovery, so each is continued once. The recovery is recorded as well, and every new
directory that a fault in it could leave is continued, too. When none is left, every chain of faults at calls of the
writer ends well.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from semilla.records import disk, names
from semilla.training.checkpoints import persistence
from torture.forks import Reporter
from torture.lab import Lab, Trial
from torture.verdict import list_faults
from torture.views import View, Watcher, count_temporaries, describe, write_view
from torture.workers import map_forked
from torture.workload import STEPS_PER_EPOCH

STEPS_BETWEEN_CHECKPOINTS = 2
FOUND = "found.json"


@dataclass(frozen=True)
class State:
    """A directory after a fault. ``origin`` is the call of the first run, of its recovery, and so on."""

    path: Path
    origin: tuple[int, ...]


class Recorder:
    """Collects every distinct directory that a fault could leave, and the faults visible in it."""

    def __init__(self, directory: Path, copies: Path) -> None:
        self.copies = copies
        self.watcher = Watcher(directory)
        self.calls: Counter[str] = Counter()
        self.lost_steps = 0
        self.faults: set[str] = set()
        self._temporaries: dict[str, int] = {}

    def install(self) -> None:
        """Wrap every function of the seam, and let training save by steps instead of by the clock."""
        self.copies.mkdir(parents=True)
        self._report()
        for name in disk.CALLS:
            setattr(disk, name, partial(self._call, name, getattr(disk, name)))
        disk.write = partial(_write_halves, disk.write)
        # The clock ticks once per reading, so a checkpoint is due after the same steps on every machine.
        persistence.time = SimpleNamespace(monotonic=itertools.count().__next__)  # type: ignore[assignment]

    def _call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        self.calls[name] += 1
        self._record()
        result = function(*arguments)
        match name:
            case "open_new":
                self.watcher.note_write(result)
            case "write":
                self.watcher.note_write(arguments[0])
            case "unlink":
                self.watcher.note_removal(arguments[0])
            case "fsync":
                self.watcher.note_sync(arguments[0])
            case "fsync_directory":
                self.watcher.keep_names(arguments[0])
        return result

    def _record(self) -> None:
        now = self.watcher.see()
        self.lost_steps = max(self.lost_steps, Reporter.last_step - count_saved_steps(now))
        for kind, view in (
            ("a kill", now),
            ("a power cut, names late", self.watcher.see_late_names()),
            ("a power cut, data late", self.watcher.see_late_data()),
        ):
            if view.get(Reporter.announced) != now.get(Reporter.announced):
                self.faults.add(f"{kind} at call {self.calls.total()}: {Reporter.announced} is not kept")
            self._keep(view)
        self._report()

    def _report(self) -> None:
        found = {"calls": self.calls, "lost_steps": self.lost_steps, "faults": sorted(self.faults)}
        (self.copies / FOUND).write_text(json.dumps(found), encoding="utf-8")

    def _keep(self, view: View) -> None:
        """Write a view with a new meaning; of views with the same meaning, the one with most temporary files."""
        meaning, num_temporaries = describe(view), count_temporaries(view)
        if num_temporaries > self._temporaries.get(meaning, -1):
            self._temporaries[meaning] = num_temporaries
            write_view(view, self.copies / f"{self.calls.total()}-{meaning}")


def _write_halves(write: Callable[..., None], file: Any, data: Any) -> None:
    write(file, data[: len(data) // 2])
    file.flush()
    write(file, data[len(data) // 2 :])


def count_saved_steps(view: View) -> int:
    """Step of the newest checkpoint in a view."""
    saved = [0]
    for name in view:
        if names.parse_checkpoint(name):
            _, kind, number = Path(name).stem.split("_")
            saved.append(int(number) * (STEPS_PER_EPOCH if kind == "epoch" else 1))
    return max(saved)


def explore(root: Path, *, workers: int, sabotage: str = "", max_states: int = 10_000) -> Iterator[Trial]:
    """Continue every state that faults can lead to, one trial each, by number of faults in a row."""
    lab = Lab(root, sabotage=sabotage, num_epochs=2, checkpoint_seconds=STEPS_BETWEEN_CHECKPOINTS)
    seen: set[str] = set()
    level = [State(root / "nothing", ())]
    level[0].path.mkdir()
    index = 0
    while level:
        found: dict[str, State] = {}
        for trial, states in map_forked(partial(_continue, lab), level, workers=workers):
            yield {"index": index, **trial}
            index += 1
            found = {**states, **found}
        level = [state for meaning, state in found.items() if meaning not in seen][: max_states - index]
        seen |= set(found)


def _continue(lab: Lab, state: State) -> tuple[Trial, dict[str, State]]:
    """Recover from one state while recording; return the faults and the states on the way."""
    copies = lab.root / "copies" / ("-".join(map(str, state.origin)) or "first")
    with lab.open_directory(f"calls-{copies.name}") as directory:
        for path in state.path.rglob("*"):
            if path.is_file():
                (directory / path.relative_to(state.path)).parent.mkdir(parents=True, exist_ok=True)
                (directory / path.relative_to(state.path)).write_bytes(path.read_bytes())
        recorder = Recorder(directory, copies)
        faults = list_faults(directory, lab.reference)
        faults += lab.finish(directory, prepare_child=lambda: (recorder.install(), lab.sabotage()))
    found = json.loads((copies / FOUND).read_text(encoding="utf-8"))
    states = {}
    for path in sorted(copies.glob("*-*"), key=lambda path: int(path.name.split("-")[0])):
        number, meaning = path.name.split("-")
        states[meaning] = State(path, (*state.origin, int(number)))
    return {"origin": state.origin, **found, "faults": faults + found["faults"]}, states


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Summarize all trials."""
    trials = list(trials)
    depths = Counter(len(trial["origin"]) for trial in trials)
    return {
        "calls of the writer in the run": trials[0]["calls"] if trials else {},
        "calls in all recoveries": sum(sum(trial["calls"].values()) for trial in trials[1:]),
        "different directories continued, by faults in a row": {n: depths[n] for n in sorted(depths) if n},
        "ended bit-identical": sum(not trial["faults"] for trial in trials),
        "of": len(trials),
        "steps lost, at most": max((trial["lost_steps"] for trial in trials), default=0),
        "steps between checkpoints": STEPS_BETWEEN_CHECKPOINTS,
    }
