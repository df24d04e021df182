"""``semilla report`` writes pages and prints their paths."""

from __future__ import annotations

import fcntl
import json

import pytest

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_toml
from semilla.records import names
from semilla.records.status import PipelineStatus, write_status


@pytest.fixture
def interrupted(tmp_path):
    """A run that stopped before it had any results."""
    config = PipelineConfiguration(output_directory=str(tmp_path))
    (tmp_path / names.CONFIGURATION).write_text(to_toml(config))
    write_status(tmp_path, PipelineStatus(run_state="interrupted", current_phase="corpus_download"))
    return tmp_path


def test_the_page_is_an_artifact_of_the_run(interrupted, capsys):
    """The page is listed as an artifact, so clean removes it."""
    assert cli.main(["report", str(interrupted)]) == 0
    assert capsys.readouterr().out == f"{interrupted / names.REPORT}\n"
    assert "Interrupted in corpus_download" in (interrupted / names.REPORT).read_text(encoding="utf-8")
    status = json.loads((interrupted / names.STATUS).read_text(encoding="utf-8"))
    assert status["artifacts_created"] == [names.REPORT]


def test_the_page_can_go_elsewhere(interrupted, tmp_path):
    """With --output nothing in the run's directory changes."""
    before = sorted(path.name for path in interrupted.iterdir())
    target = tmp_path.parent / f"{tmp_path.name}.html"
    assert cli.main(["report", str(interrupted), "--output", str(target)]) == 0
    assert target.is_file()
    assert sorted(path.name for path in interrupted.iterdir()) == before


def test_an_active_run_is_not_written_to(interrupted, capsys):
    """The exit code is 75, and the error has the command that writes the page elsewhere."""
    with (interrupted / names.LOCK).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert cli.main(["report", str(interrupted)]) == 75
    assert "--output" in capsys.readouterr().err
    assert not (interrupted / names.REPORT).exists()


def test_runs_without_epochs_cannot_be_compared(interrupted, capsys):
    """There is one error and no page."""
    assert cli.main(["report", str(interrupted), str(interrupted)]) == 64
    assert "nothing to compare" in capsys.readouterr().err


def test_no_run_no_page(tmp_path, capsys):
    """The error names the directory, and no command that would start a training there."""
    assert cli.main(["report", str(tmp_path / "none")]) == 64
    assert "next: semilla run --help" in capsys.readouterr().err
