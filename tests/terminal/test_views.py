"""The view of a run from its own events equals the view that another process reads from its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from run_events import make_epoch, send_run_events

from semilla.errors import PHASES, NetworkError
from semilla.events import EpochDone, PhaseFinished, PhaseStarted, StepDone
from semilla.pipeline.phases import PhaseRecord
from semilla.records import names
from semilla.records.heartbeat import open_heartbeat
from semilla.records.lock import hold_lock
from semilla.records.metrics import TrainingMetrics, write_metrics
from semilla.records.status import ErrorDetails, PhaseEntry, PipelineStatus
from semilla.terminal import json_progress
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


def draw(view: RunView, *, width: int = 100) -> str:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw_view(view, width=width))
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
    write_metrics(directory / names.METRICS, TrainingMetrics(run_id="1", epoch_history=[metrics]))
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
    [(100, ["step 50 of 100", "rate 3.0e-4"], []), (60, ["epoch 3 of 7", "tokens/s"], ["step 50", "rate"])],
)
def test_a_narrow_terminal_gets_fewer_figures_but_whole_ones(
    width: int, kept: list[str], left_out: list[str]
) -> None:
    """Bar and curve begin in the same column as the lines below them."""
    lines = draw(follow(), width=width).splitlines()
    bar, curve, below = (
        next(line for line in lines if text in line) for text in ("left", "loss 4", "epoch 2:")
    )
    assert [line[:4].strip() != "" and line[:3] == "   " for line in (bar, curve, below)] == [True] * 3
    assert "…" not in bar + curve
    assert all(text in bar + curve for text in kept)
    assert not any(text in bar + curve for text in left_out)


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
    assert stopped == {
        "event": "run_stopped", "category": "network", "phase": "corpus_download", "message": "the host is gone",
        "exit_code": 2,
    }  # fmt: skip
    assert finished["event"] == "run_finished"
    assert finished["status"]["run_state"] == "running"
