"""``semilla report``: writes pages, and says where."""

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
    """A run that stopped before it had anything to show."""
    config = PipelineConfiguration(output_directory=str(tmp_path))
    (tmp_path / names.CONFIGURATION).write_text(to_toml(config))
    write_status(tmp_path, PipelineStatus(run_state="interrupted", current_phase="corpus_download"))
    return tmp_path


def test_the_page_stands_in_the_run_and_belongs_to_it(interrupted, capsys):
    """It is listed among the artifacts, so that clean removes it, too."""
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


def test_a_run_under_way_is_not_written_into(interrupted, capsys):
    """75, and the command that writes the page elsewhere."""
    with (interrupted / names.LOCK).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert cli.main(["report", str(interrupted)]) == 75
    assert "--output" in capsys.readouterr().err
    assert not (interrupted / names.REPORT).exists()


def test_runs_without_epochs_cannot_be_compared(interrupted, capsys):
    """One error, no page."""
    assert cli.main(["report", str(interrupted), str(interrupted)]) == 64
    assert "nothing to compare" in capsys.readouterr().err


def test_no_run_no_page(tmp_path, capsys):
    """The directory is named, and the command that would make a run of it."""
    assert cli.main(["report", str(tmp_path / "none")]) == 64
    assert "semilla run --output-dir" in capsys.readouterr().err
