"""Runs forked from a process that has imported everything: their events, and how they end."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import SemillaError
from semilla.evaluation import gates, pair_selection, texts
from semilla.events import ArtifactRemoved, ArtifactWritten, Event, PhaseFinished, PhaseStarted, StepDone
from semilla.pipeline.main_job import run_pipeline
from semilla.pipeline.phases import model_training
from semilla.runtime import budgets
from semilla.system import pool
from torture.warm import start_children_warm
from torture.workload import make_config, write_texts

TIMEOUT_S = 300.0
"""A run of this workload that takes longer hangs."""


def prepare() -> None:
    """Prepare this process for forking runs: it makes a run itself, so nothing is left to import or compile.

    Later runs do less of what takes most of the time of a run this small: epochs end with samples of 8 tokens, and
    validation draws four samples of 40 tokens, not forty of 120, and times 20 steps of the device's runtime, not 1,000.
    Minimal pairs, the same in every run, are made once, in this process. The device's budgets are lifted, because a
    fork of this process has all of torch in its memory and may have to share its processor.
    """
    torch.set_num_threads(1)
    model_training.SAMPLE_TOKENS = 8
    texts.SAMPLES_PER_LANGUAGE, texts.SAMPLE_TOKENS = 2, 40
    pair_selection.make_pairs, pool.count_cores = cache(pair_selection.make_pairs), lambda: 1
    gates.THRESHOLDS.update(dict.fromkeys(budgets.BUDGETS, gates.Threshold("gate", "<=", 10**6)))
    budgets.GENERATED_TOKENS = 20
    budgets.measure.__kwdefaults__["num_samples"] = 20
    start_children_warm()
    with tempfile.TemporaryDirectory() as directory:
        text = write_texts(Path(directory) / "text")
        run_pipeline(make_config(Path(directory) / "run", text=text))
    gc.freeze()  # share these objects with every fork, until a collection writes to them


@dataclass
class ForkedRun:
    """A run in a process of its own. ``follow`` reads its events, up to the last one after its end."""

    pid: int
    pipe: int
    phase: str = ""
    steps: int = 0
    """Optimizer steps done, over all attempts."""
    unsaved_steps: int = 0
    """Steps of those that no checkpoint of this attempt holds."""
    unsaved_since_s: float = 0.0
    standing: list[str] = field(default_factory=list)
    """Checkpoints announced and not withdrawn, the newest last."""
    phase_began_s: dict[str, float] = field(default_factory=dict)
    phase_took_s: dict[str, float] = field(default_factory=dict)
    error: str = ""
    status: int | None = None
    ended_s: float = 0.0
    _rest: bytes = b""

    def follow(self, *, until: Callable[[], bool] = bool, for_s: float = TIMEOUT_S) -> bool:
        """Read the run's events until a condition holds or the time is up; False once it has ended."""
        deadline_s = time.monotonic() + for_s
        while not until():
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                break
            if select.select([self.pipe], [], [], remaining_s)[0] and not self._take_in():
                return False
        return True

    def kill(self) -> bool:
        """Send SIGKILL to the run and its group; False when it had already ended."""
        self.ended_s = time.monotonic()
        os.killpg(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def wait(self) -> int:
        """Read the remaining events and return the exit code, or the negative number of the signal."""
        if self.follow():
            os.killpg(self.pid, signal.SIGKILL)
            self.error = f"still running after {TIMEOUT_S:.0f} s"
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.pipe)
        return self.status

    def _take_in(self) -> bool:
        data = os.read(self.pipe, 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.understand(line)
        return bool(data)

    def understand(self, line: bytes) -> None:
        """Record one event of the run."""
        self.note(*json.loads(line))

    def note(self, kind: str, at_s: float, value: Any) -> None:
        match kind:
            case "phase":
                self.phase, self.phase_began_s[value] = value, at_s
                self.unsaved_since_s = at_s
            case "finished":
                self.phase_took_s[value] = at_s - self.phase_began_s[value]
            case "step":
                self.steps, self.unsaved_steps = value, self.unsaved_steps + 1
            case "written":
                self.standing.append(value)
                self.unsaved_steps, self.unsaved_since_s = 0, at_s
            case "removed" if value in self.standing:
                self.standing.remove(value)
            case "error":
                self.error = value


def start_run(
    config: PipelineConfiguration, *, prepare_child: Callable[[], object] = list, fuse: int | None = None
) -> ForkedRun:
    """Fork ``semilla run --resume``. The child first calls ``prepare_child``; ``fuse`` makes it kill itself."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        return ForkedRun(pid, reading)
    code = 70
    try:
        os.close(reading)
        os.setpgid(0, 0)
        prepare_child()
        code = _run(config, Reporter(writing, fuse=fuse))
    finally:
        os._exit(code)


class Reporter:
    """Writes the events of a run into a pipe, where they survive a kill.

    Steps and checkpoints count down the ``fuse``; at zero the run sends itself SIGKILL.
    """

    last_step = 0
    announced = ""
    """Optimizer steps done in this process and the newest announced checkpoint, for code inside the run."""

    def __init__(self, pipe: int, *, fuse: int | None = None) -> None:
        self.pipe = pipe
        self.fuse = fuse

    def __call__(self, event: Event) -> None:
        match event:
            case PhaseStarted(phase):
                self.say("phase", phase)
            case PhaseFinished(phase=phase):
                self.say("finished", phase)
            case StepDone(step=step):
                Reporter.last_step = step
                self.say("step", step)
                self._burn()
            case ArtifactWritten(path) if is_checkpoint(path):
                Reporter.announced = path.name
                self.say("written", path.name)
                self._burn()
            case ArtifactRemoved(path) if is_checkpoint(path):
                self.say("removed", path.name)

    def say(self, kind: str, value: object) -> None:
        os.write(self.pipe, json.dumps([kind, time.monotonic(), value]).encode() + b"\n")

    def _burn(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def is_checkpoint(path: Path) -> bool:
    return path.name.startswith("checkpoint_")


def _run(config: PipelineConfiguration, reporter: Reporter) -> int:
    try:
        run_pipeline(config, resume=True, listeners=[reporter])
    except SemillaError as error:
        reporter.say("error", f"{error.category} in {error.phase}: {error.message}")
        return error.status
    except BaseException as error:
        reporter.say("error", f"{type(error).__name__}: {error}")
        return 70
    return 0
