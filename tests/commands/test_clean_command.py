"""``semilla clean`` removes exactly what runs created."""

from __future__ import annotations

import os
import sys

import pytest

from semilla import cli
from semilla.commands import clean
from semilla.records import disk, names
from semilla.records.lock import hold_lock
from semilla.records.status import PipelineStatus, write_status

ARTIFACTS = [
    "configuration.toml",
    "corpus_bilingual.txt",
    "best_model.pt",
    "bundle/model.onnx",
    "models/1.0.0/best_model.pt",
    "never_written.pt",
]


@pytest.fixture
def directory(tmp_path):
    """The directory of a finished run, with files of the user among the artifacts."""
    place = tmp_path / "mi salida"
    for name in [*ARTIFACTS[:-1], "training_metrics.json", "semilla.log", "notas ñ.txt", "models/mine.pt"]:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    (place / ".semilla-0011.tmp").write_text("left by a killed writer")
    (place / "bundle" / ".semilla-0012.tmp").write_text("left by a killed writer")
    write_status(place, PipelineStatus(artifacts_created=ARTIFACTS))
    return place


def list_files(directory):
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


def write_artifacts(directory, *artifacts: str) -> None:
    write_status(directory, PipelineStatus(artifacts_created=list(artifacts)))


def test_exactly_what_runs_created_is_removed(directory, capsys):
    """Artifacts, records, temporary files and emptied folders go; the user's files and their folders stay."""
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert list_files(directory) == ["models", "models/mine.pt", "notas ñ.txt"]
    lines = capsys.readouterr().out.splitlines()
    assert "Removed 9 files" in lines[-1]
    listed = [line.rsplit("  ", 1)[0].strip() for line in lines[:-1]]
    assert len(listed) == 9
    assert {"best_model.pt", names.STATUS} <= set(listed)
    assert not any("notas" in line for line in listed)


def test_the_folder_of_a_tracker_goes_whole(directory):
    """Its library decides what is in it. A folder that no run listed stays, and so do the targets of links."""
    for name in ("mlflow/1/a/metrics/loss", "trackio/semilla.db"):
        (directory / name).parent.mkdir(parents=True)
        (directory / name).write_text(name)
    (directory / "mlflow" / ".trash").mkdir()
    (directory / "mlflow" / "notas").symlink_to(directory / "notas ñ.txt")
    (directory / "mlflow" / "mine").symlink_to(directory / "models", target_is_directory=True)
    write_artifacts(directory, *ARTIFACTS, "mlflow")
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert list_files(directory) == [
        "models",
        "models/mine.pt",
        "notas ñ.txt",
        "trackio",
        "trackio/semilla.db",
    ]


def test_without_a_terminal_it_needs_yes(directory, capsys):
    """Nothing is removed, and the message has the command that would do it."""
    before = list_files(directory)
    assert cli.main(["clean", str(directory)]) == 64
    error = capsys.readouterr().err
    assert "Remove 9 files" in error
    assert f"next: semilla clean '{directory}' --yes" in error
    assert set(list_files(directory)) - set(before) == {names.LOCK}


@pytest.mark.parametrize(
    ("answer", "removed"), [("y\n", True), ("Sí\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_on_a_terminal_it_asks(directory, monkeypatch, capsys, answer, removed):
    """Only a clear yes removes anything: no, an empty answer and the end of input do not."""
    read, write = os.pipe()
    os.write(write, answer.encode())
    os.close(write)
    monkeypatch.setattr(sys, "stdin", os.fdopen(read, encoding="utf-8"))
    monkeypatch.setattr(clean, "is_interactive", lambda: True)
    with sys.stdin:
        assert cli.main(["clean", str(directory)]) == 0
    assert (directory / "best_model.pt").exists() is not removed
    assert ("Nothing was removed." in capsys.readouterr().out) is not removed


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/hostname", "a/../../outside.txt", "", ".", "a\0b", ".."]
)
def test_a_tampered_status_removes_nothing(directory, capsys, name):
    """A status that lists a file outside the directory is refused as a whole."""
    (directory.parent / "outside.txt").write_text("mine")
    write_artifacts(directory, "best_model.pt", name)
    assert cli.main(["clean", str(directory), "--yes"]) == 65
    assert capsys.readouterr().err.startswith("error[integrity] clean:")
    assert (directory.parent / "outside.txt").exists()
    assert (directory / "best_model.pt").exists()


def test_a_folder_that_leads_elsewhere_is_refused(directory, tmp_path, capsys):
    """A link that replaces a folder must not lead the cleaning out of the directory."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.onnx").write_text("mine")
    (directory / "linked").symlink_to(tmp_path / "elsewhere")
    write_artifacts(directory, "linked/model.onnx")
    assert cli.main(["clean", str(directory), "--yes"]) == 65
    assert (tmp_path / "elsewhere" / "model.onnx").exists()


def test_a_link_in_the_place_of_a_file_goes_and_its_target_stays(directory, tmp_path):
    """If an artifact is a link, the link is removed, not its target."""
    (tmp_path / "elsewhere.txt").write_text("mine")
    (directory / "linked.txt").symlink_to(tmp_path / "elsewhere.txt")
    write_artifacts(directory, "linked.txt")
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert not (directory / "linked.txt").is_symlink()
    assert (tmp_path / "elsewhere.txt").read_text() == "mine"


def test_a_folder_named_as_an_artifact_stays(directory):
    """Only files are artifacts. A folder of that name is the user's."""
    (directory / "best_model.pt").unlink()
    (directory / "best_model.pt").mkdir()
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert (directory / "best_model.pt").is_dir()


def test_a_directory_that_is_in_use_is_left_alone(directory, capsys):
    """While a run holds the lock, nothing is removed and the exit code is 75."""
    before = list_files(directory)
    with hold_lock(directory):
        assert cli.main(["clean", str(directory), "--yes"]) == 75
    assert "error[locked]" in capsys.readouterr().err
    assert set(list_files(directory)) - {names.LOCK} == set(before)


def test_a_directory_without_a_run_is_not_touched(tmp_path):
    """No lock file is left, either."""
    (tmp_path / "mine.txt").write_text("ñ")
    assert cli.main(["clean", str(tmp_path), "--yes"]) == 64
    assert list_files(tmp_path) == ["mine.txt"]


def test_an_interrupted_cleaning_can_be_repeated(directory, monkeypatch, capsys):
    """The status is removed last, so the rest can still be cleaned."""
    unlink, count = disk.unlink, 0

    def fail_later(path, folder=None):
        nonlocal count
        count += 1
        if count > 4:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, folder)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "unlink", fail_later)
        assert cli.main(["clean", str(directory), "--yes"]) == 74
    assert "error[permission]" in capsys.readouterr().err
    assert (directory / names.STATUS).exists()
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert list_files(directory) == ["models", "models/mine.pt", "notas ñ.txt"]
