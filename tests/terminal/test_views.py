"""The view of a run from its own events equals the view that another process reads from its files."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from run_events import make_epoch, send_run_events

from semilla.errors import PHASES, NetworkError
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
from semilla.pipeline.phases import PhaseRecord
from semilla.records import names
from semilla.records.heartbeat import open_heartbeat, read_heartbeat
from semilla.records.lock import hold_lock
from semilla.records.metrics import TrainingMetrics
from semilla.records.status import ErrorDetails, PhaseEntry, PipelineStatus
from semilla.terminal import json_progress
from semilla.terminal.curve import draw_curve
from semilla.terminal.drawing import draw_view
from semilla.terminal.json_progress import JsonProgress
from semilla.terminal.run_view import Follower, RunView, read_view

STEP = StepDone(50, 100, 3, 7, 4.5, 3e-4, 20_000.0, 61.0)


def make_status() -> PipelineStatus:
    """A run in training."""
    status = PipelineStatus(phase_timings=dict.fromkeys(PHASES[:3], 3.0))
    for phase in PHASES[:3]:
        status.enter(phase)  # type: ignore[arg-type]
        status.complete_phase(phase, PhaseEntry(outcome="done"))  # type: ignore[arg-type]
    status.enter("model_training")
    return status


def draw(view: RunView, *, width: int = 100, height: int = 24) -> str:
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw_view(view, width=width, height=height))
    return capture.get()


def follow() -> RunView:
    """The view of the run itself, at the same instant."""
    view = RunView("data")
    follower = Follower(view)
    for phase in PHASES[:3]:
        follower(PhaseStarted(phase))
        follower(PhaseFinished(phase, PhaseRecord(phase), "done", 3.0))
    follower(PhaseStarted("model_training"))
    follower(EpochDone(make_epoch(2, samples=("Once upon", "Había una vez")).metrics, is_best=True))
    follower(STEP)
    return view


def read(directory: Path) -> RunView:
    """The view that another process reads from the files."""
    status = make_status()
    metrics = make_epoch(2, samples=("Once upon", "Había una vez")).metrics
    TrainingMetrics(run_id="1", epoch_history=[metrics]).write(directory / names.METRICS)
    with hold_lock(directory), open_heartbeat(directory) as tell:
        tell._last_s = -1e9
        tell(STEP)
        view = read_view(directory, status)
    view.title = "data"
    return view


def test_another_terminal_sees_the_same(tmp_path: Path) -> None:
    """All lines are equal, except for the seconds since the phase began."""
    pictures = [draw(view).splitlines() for view in (follow(), read(tmp_path))]
    assert len(pictures[0]) == len(pictures[1])
    differing = [one for one, other in zip(*pictures, strict=True) if one != other]
    assert all("model_training" in line for line in differing)


def test_everything_a_watcher_wants_is_drawn() -> None:
    """It has phases, epoch, step, time left, loss, rate, throughput, last epoch, and a sample per language."""
    picture = draw(follow())
    for text in (*PHASES, "epoch 3 of 7", "step 50 of 100", "1 min 01 s left", "loss 4.500", "rate 3.0e-4",
                 "20,000 tokens/s", "epoch 2:", "“Once upon”", "“Había una vez”"):  # fmt: skip
        assert text in picture


@pytest.mark.parametrize("width", [40, 41, 60, 79, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """A wrapped line would leave its rest on the screen."""
    assert max(map(len, draw(follow(), width=width).splitlines())) <= width


@pytest.mark.parametrize(
    ("width", "kept", "left_out"),
    [
        (100, ["step 50 of 100", "rate 3.0e-4"], []),
        (60, ["epoch 3 of 7", "tokens/s", "1.625 bits per byte"], ["step 50"]),
    ],
)
def test_a_narrow_terminal_gets_fewer_figures_but_whole_ones(
    width: int, kept: list[str], left_out: list[str]
) -> None:
    """Bar and curve begin in the same column as the lines below them."""
    picture = draw(follow(), width=width)
    lines = picture.splitlines()
    bar, curve, below = (
        next(line for line in lines if text in line) for text in ("left", "loss 4", "epoch 2:")
    )
    assert [line[:4].strip() != "" and line[:3] == "   " for line in (bar, curve, below)] == [True] * 3
    assert "…" not in bar + curve
    assert all(text in " ".join(picture.split()) for text in kept)
    assert not any(text in bar + curve for text in left_out)


@pytest.mark.parametrize("news", [Activity("drawing samples"), Activity(""), Transferred("book", 1, 2), STEP])
def test_a_phase_is_starting_until_its_first_news(news: Event) -> None:
    """Importing packages may take seconds; then the phase says what it does."""
    view = RunView("data")
    follower = Follower(view)
    follower(PhaseStarted("validation"))
    assert "validation          starting, 0" in draw(view)
    follower(news)
    assert "starting" not in draw(view)


@pytest.mark.parametrize(("width", "shows_memory"), [(100, True), (60, False)])
def test_the_memory_is_shown_where_all_of_it_fits(
    monkeypatch: pytest.MonkeyPatch, width: int, shows_memory: bool
) -> None:
    """What the run is doing, and for how long, comes first."""
    monkeypatch.setattr(RunView, "memory_mb", 134.0)
    view = follow()
    view.activity = "learning a vocabulary"
    line = next(line for line in draw(view, width=width).splitlines() if view.activity in line)
    assert line.endswith(", 134 MB of memory") is shows_memory
    assert line.endswith(" s") is not shows_memory


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_message_about_ctrl_c_is_shown_whole(width: int) -> None:
    """It is wrapped in a narrow terminal, and the picture is no higher than the window."""
    console = Console(width=width, height=24, force_terminal=True, color_system=None)
    message = "stopping: the progress is saved first; Ctrl-C again exits at once"
    with console.capture() as capture:
        console.print(draw_view(follow(), width=width, height=24, message=message))
    assert message in " ".join(capture.get().split())
    assert len(capture.get().splitlines()) <= 24


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_a_run_that_stopped_says_where(tmp_path: Path, state: str) -> None:
    """The phase is marked as stopped, and the step is not shown any more."""
    status = make_status()
    if state == "failed":
        status.fail(
            ErrorDetails(failed_phase="model_training", error_type="oom", error_message="", stderr_output="")
        )
    else:
        status.interrupt()
    picture = draw(read_view(tmp_path, status))
    line = next(line for line in picture.splitlines() if "model_training" in line)
    assert line.split()[-1] == state


def test_programs_get_a_line_of_json_for_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """Each event is one line with its name and fields, and nothing else is on the stream."""
    send_run_events(JsonProgress())
    lines = capsys.readouterr().out.splitlines()
    told = [json.loads(line) for line in lines]
    assert len(told) == 15
    times = [datetime.fromisoformat(line["time"]) for line in told]
    assert times == sorted(times)
    assert {line["event"] for line in told} == {
        "phase_started", "phase_finished", "transferred", "warned", "step_done", "epoch_done",
    }  # fmt: skip
    step = next(line for line in told if line["event"] == "step_done")
    assert (step["step"], step["total_steps"], step["total_epochs"], step["remaining_s"]) == (1, 2, 7, 61.0)
    epoch = next(line for line in told if line["event"] == "epoch_done")
    assert epoch["metrics"]["sample_outputs"][0].startswith("Había una vez")
    assert all(line.isascii() for line in lines)


def test_the_last_line_tells_programs_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the status of a finished run, or the error and exit code of one that stopped."""
    error = NetworkError("the host is gone")
    error.phase = "corpus_download"
    json_progress.stop(error)
    json_progress.finish(PipelineStatus())
    stopped, finished = map(json.loads, capsys.readouterr().out.splitlines())
    assert datetime.fromisoformat(stopped.pop("time")).tzinfo == UTC
    assert stopped == {
        "event": "run_stopped", "category": "network", "phase": "corpus_download", "message": "the host is gone",
        "exit_code": 2,
    }  # fmt: skip
    assert finished["event"] == "run_finished"
    assert finished["status"]["run_state"] == "running"


@pytest.mark.parametrize("activity", ["evaluating on held-out text", "drawing samples", "asking for grammar"])
def test_the_display_says_what_is_going_on(tmp_path: Path, activity: str) -> None:
    """Both the run itself and another terminal show it beside the phase, until the next step or epoch."""
    view = follow()
    follower = Follower(view)
    follower(Activity(activity))
    assert re.search(rf"model_training +{activity}", draw(view))
    follower(STEP)
    assert activity not in draw(view)
    with hold_lock(tmp_path), open_heartbeat(tmp_path) as tell:
        tell(Activity(activity))
        assert activity in draw(read_view(tmp_path, make_status()))


def test_after_the_last_phase_the_display_still_says_what_is_going_on() -> None:
    """The report is written when no phase is left."""
    view = RunView("data")
    Follower(view)(Activity("writing the report"))
    assert "writing the report" in draw(view)


def test_after_a_resume_curve_totals_and_time_go_on(tmp_path: Path) -> None:
    """The curve begins with the losses of earlier attempts, the epoch is shown again, and the time is added."""
    metrics = make_epoch(2, samples=("Once upon",)).metrics
    resumed = Resumed(25, ((10, 9.0), (10, 6.0), (5, 5.0)), metrics, is_best=True)
    view = RunView("data")
    follower = Follower(view)
    for event in (PhaseStarted("model_training", 3600.0), resumed, STEP):
        follower(event)
    assert list(view.losses) == [9.0] * 10 + [6.0] * 10 + [5.0] * 5 + [STEP.loss]
    picture = draw(view)
    assert "1 h 00 min" in picture
    assert "epoch 2:" in picture
    assert "9.00 ┤" in picture
    with open_heartbeat(tmp_path) as tell:
        for event in (resumed, STEP):
            tell._last_s = -1e9
            tell(event)
        beat = read_heartbeat(tmp_path)
    assert beat is not None
    assert list(beat.losses) == list(view.losses)


@pytest.mark.parametrize(("width", "height"), [(40, 12), (60, 16), (60, 24), (100, 30), (100, 50), (200, 24)])
def test_the_display_fills_the_window_and_no_more(width: int, height: int) -> None:
    """A large window shows the samples in full and a higher curve; a small one loses rows, never the steps."""
    sample = " ".join(f"word{number}" for number in range(60))
    view = follow()
    follower = Follower(view)
    for number in range(100):
        follower(StepDone(number + 1, 100, 3, 7, 9 - number / 20, 3e-4, 20_000.0, 61.0))
    follower(make_epoch(3, samples=(sample,)))
    lines = [line for line in draw(view, width=width, height=height).splitlines() if line.strip()]
    assert len(lines) <= height
    assert any("left" in line for line in lines)
    if height >= 24:
        assert sample in " ".join(" ".join(lines).split())
        assert len(lines) >= min(height - 2, 25)
        assert any("step 100" in line and "└" in line for line in lines)


def test_the_axis_of_the_curve_shows_its_highest_and_lowest_value() -> None:
    """The first column is the highest when the loss falls, and every row is as wide as allowed at most."""
    rows = draw_curve([8.0, 6.0, 4.0, 2.5], width=40, height=6, end="step 4")
    assert len(rows) == 6
    assert rows[0].startswith(" 8.00 ┤█")
    assert rows[-2].startswith(" 2.50 ┤")
    assert rows[-1].endswith("step 4")
    assert {len(row) for row in rows} <= set(range(41))
    assert draw_curve([1.0], width=40, height=2, end="now") == []
    assert draw_curve([], width=40, height=9, end="now") == []
    assert len(draw_curve([3.0, 3.0], width=40, height=5, end="now")) == 5
