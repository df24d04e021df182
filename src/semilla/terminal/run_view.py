"""The state of a run for a screen: kept current from events, or read from the files of another process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from semilla.errors import PHASES
from semilla.events import (
    Activity,
    EpochDone,
    Event,
    PhaseFinished,
    PhaseStarted,
    Resumed,
    StepDone,
    Transferred,
)
from semilla.records import names
from semilla.records.heartbeat import Trace, read_heartbeat
from semilla.records.metrics import EpochMetrics, read_metrics
from semilla.records.status import PipelineStatus

STARTING = "starting"
"""The activity of a phase until its first news: importing packages may take seconds."""


@dataclass
class RunView:
    """The finished phases with their outcomes and seconds, the current phase, and the progress of training."""

    title: str
    finished: dict[str, tuple[str, float]] = field(default_factory=dict)
    phase: str | None = None
    phase_began_s: float = 0.0
    """By ``time.monotonic``."""
    state: str = "running"
    activity: str = ""
    """What the run is doing besides training steps, such as evaluating; empty while it trains."""
    transfer: Transferred | None = None
    step: StepDone | None = None
    losses: Sequence[float] = ()
    epoch: EpochMetrics | None = None
    is_best: bool = False
    process_id: int | None = None

    @property
    def memory_mb(self) -> float | None:
        """Resident memory of the run's process, in MiB; None when it is gone."""
        if not self.process_id:
            return None
        with suppress(psutil.Error):
            return float(psutil.Process(self.process_id).memory_info().rss / 2**20)
        return None


class Follower:
    """A listener that keeps a view current."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.trace = Trace()

    def __call__(self, event: Event) -> None:
        view = self.view
        if isinstance(event, PhaseStarted | PhaseFinished | StepDone | EpochDone):
            view.activity = ""
        match event:
            case PhaseStarted(phase, elapsed_s):
                view.phase, view.phase_began_s = phase, time.monotonic() - elapsed_s
                view.activity = STARTING
            case PhaseFinished(phase, _, outcome, elapsed_s):
                view.finished[phase] = (outcome, elapsed_s)
                view.phase = view.transfer = view.step = None
            case Transferred():
                view.transfer = event
                if view.activity == STARTING:
                    view.activity = ""
            case Activity(text):
                view.activity = text
            case Resumed():
                self.trace.add_resumed(event)
                view.losses = self.trace.means
                view.epoch, view.is_best = event.last_epoch, event.is_best
            case StepDone(loss=loss):
                view.step = event
                self.trace.add(loss)
                view.losses = self.trace.means
            case EpochDone(metrics, is_best):
                view.epoch, view.is_best = metrics, is_best
            case _:
                pass


def read_view(directory: Path, status: PipelineStatus) -> RunView:
    """Read the view of a run: its true ``status``, its metrics, and the heartbeat if it is running."""
    path = directory / names.METRICS
    history = read_metrics(path).epoch_history if path.is_file() else []
    is_running = status.run_state == "running"
    beat = read_heartbeat(directory) if is_running else None
    best = min(history, key=lambda epoch: epoch.validation_loss, default=None)
    return RunView(
        title=str(directory),
        finished={
            phase: (_get_outcome(status, phase), status.phase_timings.get(phase, 0.0))
            for phase in status.completed_phases
        },
        phase=find_current(status),
        phase_began_s=time.monotonic() - _measure_age(status),
        state=status.run_state,
        activity=beat.activity if beat else "",
        transfer=beat.transfer if beat else None,
        step=beat.step if beat else None,
        losses=(beat.losses if beat else ()) or [epoch.train_loss for epoch in history],
        epoch=history[-1] if history else None,
        is_best=bool(history) and history[-1] is best,
        process_id=status.process_id if is_running else None,
    )


def find_current(status: PipelineStatus) -> str | None:
    """The phase that a run is in, or stopped in."""
    if status.error_details:
        return status.error_details.failed_phase
    return status.current_phase if status.current_phase in PHASES else None


def _get_outcome(status: PipelineStatus, phase: str) -> str:
    entry = status.phase_records.get(phase)
    return entry.outcome if entry else "done"


def _measure_age(status: PipelineStatus) -> float:
    """Seconds spent in the current phase: since the previous one ended, and in earlier attempts."""
    done, earlier_s = status.completed_phases, status.phase_timings.get(status.current_phase, 0.0)
    entry = status.phase_records.get(done[-1]) if done else None
    began = entry.finished_at if entry and entry.finished_at else status.start_time
    return earlier_s + max((datetime.now(UTC) - datetime.fromisoformat(began)).total_seconds(), 0.0)
