"""What a run is doing, for a page that follows it: read from the files that the run writes anyway.

Nothing is written to the run's directory, and its lock is not touched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from semilla.errors import PHASES, SemillaError
from semilla.escape import escape_controls
from semilla.formatting import describe_step, format_duration, format_size
from semilla.records import names
from semilla.records.lock import has_living_holder
from semilla.records.metrics import EpochMetrics, read_metrics
from semilla.records.results import ValidationResults
from semilla.records.status import PipelineStatus, read_status
from semilla.server.errors import RequestError, dump
from semilla.terminal.run_view import RunView, read_view

BEAT_S = 1.0
"""A run writes its progress about as often."""
QUIET_S = 15.0
"""A comment goes out when nothing has happened for so long, so that a broken connection is noticed."""
SHOWN_EPOCHS = 8


def read_true_status(directory: Path) -> PipelineStatus:
    """The status of a run; running only while its process is alive.

    Raises RequestError when there is none any more, and IntegrityError when it is damaged.
    """
    status = read_status(directory)
    if status is None:
        raise RequestError(404, "this run is not there any more", code="not_found")
    if status.run_state == "running" and not has_living_holder(directory):
        status.interrupt()
    return status


def describe_run(directory: Path) -> dict[str, Any]:
    """Everything that the page of a run shows and that may change."""
    status = read_true_status(directory)
    view = read_view(directory, status)
    history = read_history(directory)
    return {
        "state": status.run_state,
        "phases": [_describe_phase(status, view, phase) for phase in PHASES],
        "activity": describe_activity(view),
        "share": view.step.step / view.step.total_steps if view.step else None,
        "figures": list_figures(view, status.validation_results),
        "axis": "step" if view.step else "epoch",
        "losses": list_losses(view),
        "samples": list_samples(history),
        "error": _describe_error(status),
    }


def read_history(directory: Path) -> list[EpochMetrics]:
    path = directory / names.METRICS
    return read_metrics(path).epoch_history if path.is_file() else []


def describe_activity(view: RunView) -> str:
    """One line about what the run does now; empty when it does nothing."""
    if view.state != "running":
        return ""
    if view.activity:
        return escape_controls(view.activity)
    if view.step:
        return describe_step(view.step)
    if view.transfer:
        done = format_size(view.transfer.done_bytes)
        of = f" of {format_size(view.transfer.total_bytes)}" if view.transfer.total_bytes else ""
        return escape_controls(f"{view.transfer.name}: {done}{of}")
    return view.phase or ""


def list_figures(view: RunView, results: ValidationResults | None) -> list[tuple[str, str]]:
    """The current figures, each with its name."""
    found: list[tuple[str, str]] = []
    if view.step:
        found += [
            ("training loss", f"{view.step.loss:.3f}"),
            ("tokens per second", f"{view.step.tokens_per_second:,.0f}"),
            ("left", format_duration(view.step.remaining_s)),
        ]
    if view.memory_mb:
        found.append(("memory", f"{view.memory_mb:,.0f} MB"))
    if view.epoch:
        found.append(("validation loss", f"{view.epoch.validation_loss:.3f}"))
        if "all" in view.epoch.bits_per_byte:
            found.append(("bits per byte", f"{view.epoch.bits_per_byte['all']:.3f}"))
    if results:
        found.append(("generated per second", f"{results.inference_metrics.tokens_per_sec:,.0f} tokens"))
    return found


def list_losses(view: RunView) -> list[tuple[int, float]]:
    """Training losses, each with the step, or the epoch, that it ends at.

    A heartbeat has means over equal numbers of steps, a power of two of them (``records.heartbeat.Trace``).
    """
    losses, steps_per_mean = view.losses, 1
    if view.step:
        while (len(losses) + 1) * steps_per_mean <= view.step.step:
            steps_per_mean *= 2
    return [(number * steps_per_mean, round(loss, 4)) for number, loss in enumerate(losses, start=1)]


def list_samples(history: Sequence[EpochMetrics]) -> list[dict[str, Any]]:
    """The samples of the last epochs, newest first."""
    return [
        {
            "epoch": epoch.epoch_number,
            "texts": [
                {
                    "prompt": escape_controls(sample.prompt),
                    "text": escape_controls(sample.text) + ("…" if sample.ended == "limit" else ""),
                    "lang": sample.language,
                }
                for sample in epoch.list_samples()
            ],
        }
        for epoch in history[::-1][:SHOWN_EPOCHS]
    ]


def measure_time(directory: Path, status: PipelineStatus) -> float:
    """Seconds that a run has taken so far."""
    timings = status.phase_timings
    if status.run_state != "running":
        return sum(timings.values())
    view = read_view(directory, status)
    return measure_phase(view) + sum(spent_s for phase, spent_s in timings.items() if phase != view.phase)


def measure_phase(view: RunView) -> float:
    """Seconds of the current phase of a run that goes on."""
    return time.monotonic() - view.phase_began_s


def _describe_phase(status: PipelineStatus, view: RunView, phase: str) -> dict[str, str]:
    spent_s = status.phase_timings.get(phase)
    outcome = "to do"
    if phase in view.finished:
        outcome = view.finished[phase][0]
    elif phase == view.phase:
        outcome = status.run_state
        spent_s = measure_phase(view) if view.state == "running" else spent_s
    spent = "" if spent_s is None or outcome == "to do" else format_duration(spent_s)
    return {"name": phase.replace("_", " "), "outcome": outcome, "spent": spent}


def _describe_error(status: PipelineStatus) -> str:
    error = status.error_details
    return (
        escape_controls(f"{error.failed_phase} failed ({error.error_type}): {error.error_message}")
        if error
        else ""
    )


@dataclass
class _Snapshot:
    read_s: float
    content: bytes
    is_running: bool


class Follower:
    """Follows runs for any number of readers: each run is read once a second, however many look on."""

    def __init__(self) -> None:
        self.is_closing = False
        self._known: dict[Path, _Snapshot] = {}
        self._locks: dict[Path, asyncio.Lock] = {}

    def close(self) -> None:
        """End every stream, because the server stops."""
        self.is_closing = True

    async def look(self, directory: Path) -> _Snapshot:
        async with self._locks.setdefault(directory, asyncio.Lock()):
            known = self._known.get(directory)
            if known is None or time.monotonic() - known.read_s >= BEAT_S * 0.9:
                known = self._known[directory] = await run_in_threadpool(_read, directory)
            return known

    async def follow(self, directory: Path) -> AsyncIterator[bytes]:
        """Yield server-sent events: what has changed, and ``end`` when the run no longer runs."""
        sent, sent_s = b"", 0.0
        while not self.is_closing:
            seen = await self.look(directory)
            if seen.content != sent:
                yield b"data: " + seen.content + b"\n\n"
                sent, sent_s = seen.content, time.monotonic()
            elif time.monotonic() - sent_s >= QUIET_S:
                yield b": still here\n\n"
                sent_s = time.monotonic()
            if not seen.is_running:
                yield b"event: end\ndata: {}\n\n"
                return
            await asyncio.sleep(BEAT_S)


def _read(directory: Path) -> _Snapshot:
    try:
        content = describe_run(directory)
    except (SemillaError, RequestError) as error:
        content = {"state": "damaged", "error": escape_controls(error.message)}
    return _Snapshot(time.monotonic(), dump(content), content["state"] == "running")
