"""Rows D of the fault catalogue: a disk that is full, broken, read-only, gone or unusual."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from disk_faults import DiskFaults, fail_with
from tiny_training import On, configure, describe_end, in_child, mount, resume, train

from semilla import cli
from semilla.errors import (
    DiskSpaceError,
    InvalidConfigError,
    PermissionDeniedError,
    SemillaError,
    StorageError,
)
from semilla.events import EpochDone, StepDone, Warned
from semilla.pipeline.main_job import run_pipeline
from semilla.prerequisites.storage import refuse_foreign_files
from semilla.records import names
from semilla.records.status import PipelineStatus, read_status, write_status
from semilla.training.checkpoints.checkpoint import find_checkpoints


def assert_newest_is_whole(directory: Path) -> None:
    sound, damaged = find_checkpoints(directory)
    assert sound
    assert damaged == []
    assert not list(directory.rglob("*.tmp"))


@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskSpaceError),
        (errno.EDQUOT, DiskSpaceError),
        (errno.EIO, StorageError),
        (errno.EROFS, PermissionDeniedError),
    ],
)
def test_training_recovers_from_a_disk_that_failed(
    directory: Path, whole: dict[str, Any], number: int, kind: type[SemillaError], is_lasting: bool
) -> None:
    """D2, D6: a write, sync or rename fails; the error has its category, and resuming gives the same result."""
    at = {errno.ENOSPC: 11, errno.EDQUOT: 17, errno.EIO: 14, errno.EROFS: 12}[number]
    faults = DiskFaults(
        at=at, act=fail_with(number), only=["write", "fsync", "replace"], is_lasting=is_lasting
    )
    with faults, pytest.raises(kind):
        train(directory)
    assert_newest_is_whole(directory)
    resume(directory)
    assert describe_end(directory) == whole


def test_a_disk_filled_by_others_leaves_the_old_checkpoint(
    directory: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    """D3: old checkpoints stay until a newer one is complete; with space again, the result is the same."""
    with mount(tmp_path / "disco", "size=64m") as disk:
        place = Path(shutil.copytree(directory, disk / "run"))

        def fill() -> None:
            with pytest.raises(OSError, match="No space"):
                (disk / "ballast").write_bytes(bytes(64 << 20))

        with pytest.raises(DiskSpaceError):
            train(place, progress=On(EpochDone, fill, nth=2))
        assert_newest_is_whole(place)
        (disk / "ballast").unlink()
        resume(place)
        assert describe_end(place) == whole


def test_a_disk_too_full_for_the_status_is_reported_and_recovered_from(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D4: the error and exit code appear even though nothing can be recorded; the next start recovers."""
    with mount(tmp_path / "disco", "size=160m") as disk:
        place = Path(shutil.copytree(directory, disk / "run"))
        shutil.copy(directory.parent / "libro.txt", disk)

        def fill() -> None:
            with pytest.raises(OSError, match="No space"):
                (disk / "ballast").write_bytes(bytes(160 << 20))

        with pytest.raises(DiskSpaceError) as caught:
            run_pipeline(configure(place), listeners=[On(StepDone, fill, nth=3)])
        assert caught.value.status == 4
        status = read_status(place)
        assert status is not None
        assert status.run_state == "running"  # the failure itself found no room
        (disk / "ballast").unlink()
        status = run_pipeline(configure(place), resume=True)
        assert (status.run_state, status.attempt) == ("complete", 2)


def test_a_limit_on_file_size_is_a_full_disk(directory: Path, whole: dict[str, Any]) -> None:
    """D6: the first checkpoint exceeds ``ulimit -f``."""

    def act() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        try:
            train(directory)
        except DiskSpaceError as error:
            return 4 if "File too large" in error.message else 1
        return 0

    assert in_child(act) == 4
    assert not list(directory.glob("*.tmp"))
    train(directory)
    assert describe_end(directory) == whole


def test_a_folder_on_another_file_system_gets_its_files_there(trained: Path) -> None:
    """D14: the bundle folder is a mount; temporary files are next to their final names, so renames work."""
    with mount(trained / names.BUNDLE, "size=16m"):
        status = run_pipeline(configure(trained, num_epochs=1))
        assert status.run_state == "complete"
        assert len(list((trained / names.BUNDLE).iterdir())) == 3


def test_a_rename_across_file_systems_is_never_made_a_copy(directory: Path, whole: dict[str, Any]) -> None:
    """D14: EXDEV is an ordinary error, and no file gets the name."""
    with (
        DiskFaults(at=1, act=fail_with(errno.EXDEV), only=["replace"]),
        pytest.raises(StorageError) as caught,
    ):
        train(directory)
    assert "cross-device" in caught.value.message
    assert not [*directory.glob("*.pt"), *directory.glob("*.tmp"), *directory.glob(names.METRICS)]
    train(directory)
    assert describe_end(directory) == whole


def test_a_disk_that_turns_read_only_keeps_the_last_checkpoint(directory: Path, tmp_path: Path) -> None:
    """D10: remounted read-only during training: ``permission``, exit 4, and no file changes."""
    with mount(tmp_path / "disco", "size=64m") as disk:
        place = Path(shutil.copytree(directory, disk / "run"))
        lock = [*"mount -o remount,ro".split(), str(disk)]
        with pytest.raises(PermissionDeniedError, match="Read-only file system"):
            train(place, progress=On(EpochDone, lambda: subprocess.run(lock, check=True)))
        assert_newest_is_whole(place)


def test_a_directory_removed_while_running_is_not_recreated(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D11: the next write reports it with exit 4 and writes nothing anywhere."""
    with pytest.raises(StorageError, match="disappeared during use") as caught:
        run_pipeline(configure(directory), listeners=[On(EpochDone, lambda: shutil.rmtree(directory))])
    assert caught.value.status == 4
    assert [path.name for path in tmp_path.iterdir()] == ["libro.txt"]


def test_files_we_did_not_write_are_neither_taken_nor_removed(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """D13: a file under a name the run needs is exit 64; other files stay, in our folders and after clean."""
    foreign = tmp_path / "ajeno"
    foreign.mkdir()
    (foreign / "best_model.pt").write_bytes(b"mine")
    (foreign / "bundle").write_bytes(b"mine")
    assert cli.main(["run", "--output-dir", str(foreign), "--corpus-source", "sample"]) == 64
    error = capsys.readouterr().err
    assert "best_model.pt, bundle" in error
    assert {path.name: path.read_bytes() for path in foreign.iterdir()} == {
        "best_model.pt": b"mine",
        "bundle": b"mine",
    }
    mine = {directory / "notas.txt", directory / "checkpoint_epoch_x.pt", directory / "bundle" / "notas.txt"}
    (directory / "bundle").mkdir()
    for path in mine:
        path.write_bytes(b"mine")
    run_pipeline(configure(directory))
    assert cli.main(["clean", str(directory), "--yes"]) == 0
    assert {path for path in directory.rglob("*") if path.is_file()} == mine


def test_a_directory_of_an_earlier_run_is_ours(directory: Path) -> None:
    """D13: its lock file or its status shows that; an empty directory or unrelated files are fine too."""
    refuse_foreign_files(directory, corpus_source="notes")
    (directory / names.LOCK).unlink()
    with pytest.raises(InvalidConfigError):
        refuse_foreign_files(directory, corpus_source="notes")
    write_status(directory, PipelineStatus())
    refuse_foreign_files(directory, corpus_source="notes")


@pytest.mark.parametrize("name", ["-año 100 %, «uno»; 'dos' \"tres\" $HOME 🌱", "ñ" * 127 + "x"])
def test_a_run_works_under_any_name(directory: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """D15: spaces, quotes, comma, per cent, emoji, a leading dash; 255 bytes."""
    assert len(name.encode()) <= 255
    place = directory.rename(directory.with_name(name))
    here = Path.cwd()
    os.chdir(place.parent)
    try:
        words = ["run", f"--output-dir={name}", "--corpus-source", "libro.txt", "--resume"]
        words += (
            "--tokenizer-vocab-size 1000 --num-layers 1 --d-model 64 --num-heads 2 --num-epochs 1".split()
        )
        words += ["--optimizer", "adamw", "--max-validation-loss", "20"]
        words += "--dim-feedforward 128 --max-sequence-length 32 --num-threads 1 --precision float32".split()
        assert cli.main(words) == 0
        assert cli.main(["status", f"./{name}"]) == 0
    finally:
        os.chdir(here)
    assert "complete" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["dos\nlíneas", "x" * 256])
def test_an_impossible_name_is_a_wrong_setting(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """D15: a line break or 256 bytes is exit 64, before anything is created."""
    assert cli.main(["run", "--output-dir", str(tmp_path / name), "--corpus-source", "sample"]) == 64
    assert "error[invalid_config]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_sync_directories_is_reported_once(directory: Path) -> None:
    """D18: the run continues, and its status says that durability is reduced."""
    heard = On(Warned, lambda: None)
    with DiskFaults(at=1, act=fail_with(errno.EINVAL), only=["fsync_directory"], is_lasting=True):
        status = run_pipeline(configure(directory, num_epochs=1), listeners=[heard])
    assert status.durability == "reduced"
    reported = [event for event in heard.events if isinstance(event, Warned) and event.topic == "durability"]
    assert len(reported) == 1


def test_a_directory_without_write_permission_is_refused(directory: Path, tmp_path: Path) -> None:
    """D9: without write permission the directory is refused in phase 1, and nothing is written."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    before = sorted(directory.rglob("*"))

    def act() -> int:
        os.chdir(tmp_path)  # whose parents nobody else may enter
        os.setgid(65534)
        os.setuid(65534)
        try:
            run_pipeline(configure(Path(directory.name)))
        except PermissionDeniedError as error:
            return error.status
        return 0

    assert in_child(act) == 1
    assert sorted(directory.rglob("*")) == before
