"""``semilla status`` shows the state of a run."""

from __future__ import annotations

import fcntl
import json
import shlex

import pytest

from semilla import cli
from semilla.commands import status as status_command
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_toml
from semilla.events import StepDone
from semilla.records import names
from semilla.records.heartbeat import open_heartbeat
from semilla.records.lock import hold_lock
from semilla.records.metrics import EpochMetrics, TrainingMetrics
from semilla.records.status import ErrorDetails, PhaseEntry, PipelineStatus, write_status


@pytest.fixture
def training(tmp_path):
    """A directory whose status says that model_training is running. Its second epoch was worse than the first."""
    status = PipelineStatus(process_id=1, phase_timings={"prerequisite_check": 2.0, "corpus_download": 65.0})
    for phase in ("prerequisite_check", "corpus_download", "tokenizer_training"):
        status.enter(phase)
        status.complete_phase(phase, PhaseEntry(outcome="reused" if phase == "corpus_download" else "done"))
    status.enter("model_training")
    write_status(tmp_path, status)
    metrics = TrainingMetrics(
        run_id=status.pipeline_id,
        epoch_history=[
            EpochMetrics(
                epoch_number=number,
                train_loss=5.0,
                validation_loss=loss,
                learning_rate=3e-4,
                elapsed_seconds=9,
                sample_outputs=["Había una vez"],
                gradient_norm=1.0,
                tokens_per_second=20000.0,
                bits_per_byte={"all": 1.7},
            )
            for number, loss in ((1, 5.5), (2, 5.75))
        ],
    )
    metrics.write(tmp_path / names.METRICS)
    return tmp_path


def hold(directory):
    """Hold the lock, as a run does."""
    file = (directory / names.LOCK).open("a+")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def test_a_running_run_is_shown_phase_by_phase(training, capsys):
    """Each phase has its outcome and time, and the last epoch its figures."""
    with hold(training):
        assert cli.main(["status", str(training)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][1:4] == ["running,", "attempt", "1,"]
    assert lines[4].pop() == "memory"  # of the process that the status names
    del lines[4][2:]
    assert lines[1:6] == [
        ["prerequisite_check", "done", "2.0", "s"],
        ["corpus_download", "reused", "1", "min", "05", "s"],
        ["tokenizer_training", "done"],
        ["model_training", "running"],
        ["validation", "to", "do"],
    ]
    assert lines[6][0] == "loss"
    assert lines[7][:2] == ["epoch", "2:"]
    assert "(best)," not in lines[7]
    assert lines[8] == ["“Había", "una", "vez”"]
    assert len(lines) == 9


def test_a_running_training_tells_its_step(training, capsys):
    """Text and JSON have the step, the losses so far and the memory in use."""
    with hold_lock(training), open_heartbeat(training) as tell:
        for number, loss in ((1, 6.5), (2, 6.0)):
            tell._last_s = -1e9
            tell(StepDone(number, 30, 1, 3, loss, 3e-4, 12_345.0, 61.0))
        assert cli.main(["status", str(training)]) == 0
        text = capsys.readouterr().out
        assert cli.main(["status", str(training), "--json"]) == 0
    assert "epoch 1 of 3, step 2 of 30: loss 6.000, 12,345 tokens/s, 1 min 01 s left" in text
    assert "6.500 to 6.000" in text
    progress = json.loads(capsys.readouterr().out)["progress"]
    assert (progress["step"]["step"], progress["losses"]) == (2, [6.5, 6.0])
    assert progress["memory_mb"] > 0


def test_running_without_a_holder_of_the_lock_is_interrupted(training, capsys):
    """A run whose process was killed is shown as interrupted, with the likely cause and the next command."""
    assert cli.main(["status", str(training)]) == 0
    text = capsys.readouterr().out
    assert ": interrupted, attempt 1" in text
    assert "it crashed, was killed" in text
    assert f"next: semilla run --resume --output-dir {training}" in text


def test_an_interrupted_run_goes_on_with_its_own_settings(training, capsys):
    """The command repeats the settings of the run. Without them, it would train another model on another text."""
    config = PipelineConfiguration(
        corpus_source="mi libro.txt", model_architecture={"num_layers": 4}, output_directory=str(training)
    )
    (training / names.CONFIGURATION).write_text(to_toml(config), encoding="utf-8")
    assert cli.main(["status", str(training)]) == 0
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("next: ")
    flags = ["--corpus-source=mi libro.txt", "--num-layers=4", f"--output-dir={training}", "--resume"]
    assert shlex.split(command) == ["semilla", "run", *flags]


def test_json_tells_the_same_as_the_file_with_the_true_state(training, capsys):
    """``--json`` is the status file with the true state and the earlier models. The file itself is unchanged."""
    before = (training / names.STATUS).read_bytes()
    assert cli.main(["status", str(training), "--json"]) == 0
    shown, written = json.loads(capsys.readouterr().out), json.loads(before)
    assert written.pop("run_state") == "running"
    assert written.pop("sha256")
    assert shown == {**written, "run_state": "interrupted", "earlier_models": []}
    assert (training / names.STATUS).read_bytes() == before


@pytest.mark.parametrize(("category", "repeats"), [("network", True), ("invalid_corpus", False)])
def test_a_failed_run_tells_what_went_wrong(training, capsys, category, repeats):
    """The error is shown with its topic. Resuming is only suggested when it can help."""
    status = PipelineStatus.model_validate_json((training / names.STATUS).read_text())
    message = "el servidor \x1b[31mcayó\nnext: rm"
    status.fail(
        ErrorDetails(
            failed_phase="model_training", error_type=category, error_message=message, stderr_output=""
        )
    )
    write_status(training, status)
    assert cli.main(["status", str(training)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  model_training      failed" in lines
    assert f"model_training failed ({category}): el servidor \\u001b[31mcayó / next: rm" in lines
    assert f"next: semilla guide {category}" in lines
    assert (f"next: semilla run --resume --output-dir {training}" in lines) is repeats


def test_watching_shows_each_change_until_the_run_ends(training, monkeypatch, capsys):
    """``--watch`` prints the status after each change, and ends with the run."""
    looks = []

    def sleep(seconds):
        if seconds != status_command.WATCH_S:
            return  # a pause of the lock's, which is asked more than once
        looks.append(seconds)
        if len(looks) == 2:
            changed = PipelineStatus.model_validate_json((training / names.STATUS).read_text())
            changed.interrupt()
            write_status(training, changed)

    monkeypatch.setattr(status_command.time, "sleep", sleep)
    with hold(training):
        assert cli.main(["status", str(training), "--watch"]) == 0
    headings = [line.split(",")[0] for line in capsys.readouterr().out.splitlines() if ", attempt" in line]
    assert [heading.split(": ")[1] for heading in headings] == ["running", "interrupted"]
    assert len(looks) == 2


def test_a_directory_without_a_run_is_a_wrong_command(tmp_path, capsys):
    """Without a status there is nothing to show, and nothing is created."""
    assert cli.main(["status", str(tmp_path)]) == 64
    assert "there is no run in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [names.STATUS, names.METRICS])
@pytest.mark.parametrize("content", ["{", "[]", '{"run_state": "asleep"}', "", "\x00\xff"])
def test_damaged_records_are_reported(training, capsys, name, content):
    """A status or metrics file that cannot be read is an integrity error, not a crash."""
    (training / name).write_text(content, encoding="latin-1")
    assert cli.main(["status", str(training)]) == 65
    assert capsys.readouterr().err.startswith("error[integrity] status:")
