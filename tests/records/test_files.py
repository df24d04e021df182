"""Artifacts are complete under their final name, or absent, and identified by their hash."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from disk_faults import DiskFaults, fail_with, kill

from semilla.errors import (
    DiskSpaceError,
    IntegrityError,
    PermissionDeniedError,
    SemillaError,
    StorageError,
    from_os_error,
)
from semilla.records import disk, files


def test_files_are_read_back_as_written(tmp_path: Path) -> None:
    """Bytes and JSON come back as they were, accents included."""
    files.write_json(tmp_path / "a.json", {"niño": "¿qué?"})
    assert files.read_json(tmp_path / "a.json") == {"niño": "¿qué?"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_trace(tmp_path: Path, monkeypatch, call: str) -> None:
    """A disk that fills up during the write changes nothing."""
    path = tmp_path / "model.pt"
    files.write_bytes(path, b"old")

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(DiskSpaceError, match=r"model\.pt"):
        files.write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind"), [(28, DiskSpaceError), (122, DiskSpaceError), (27, DiskSpaceError), (30, PermissionDeniedError),
                         (13, PermissionDeniedError), (5, StorageError), (2, StorageError)]
)  # fmt: skip
def test_operating_system_errors_find_their_category(
    tmp_path: Path, monkeypatch, number: int, kind: type
) -> None:
    """Each kind of ``OSError`` gets the error class that says what the user can do."""
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(number, os.strerror(number)))
    )
    with pytest.raises(kind):
        files.write_bytes(tmp_path / "x", b"")


def test_files_obey_the_umask(tmp_path: Path) -> None:
    """The umask decides who may read a file."""
    previous = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(previous)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_nan_is_refused_in_json(tmp_path: Path) -> None:
    """NaN is refused before anything is written."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_damaged_json_is_an_integrity_error(tmp_path: Path, content: bytes) -> None:
    """Any JSON that does not parse raises IntegrityError."""
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(IntegrityError):
        files.read_json(tmp_path / "x.json")


def test_an_artifact_that_changed_is_noticed(tmp_path: Path) -> None:
    """A changed size, changed content and a missing file are all found."""
    path = tmp_path / "best_model.pt"
    files.write_bytes(path, b"weights")
    artifact = files.describe_artifact(path, root=tmp_path)
    files.verify_artifact(artifact, root=tmp_path)
    for bad in (b"weight", b"weighty", None):
        path.unlink() if bad is None else path.write_bytes(bad)
        with pytest.raises(IntegrityError, match=r"best_model\.pt"):
            files.verify_artifact(artifact, root=tmp_path)
        assert not files.is_intact(artifact, root=tmp_path)


def test_temporary_files_of_killed_writers_are_removed(tmp_path: Path) -> None:
    """Our temporary files are removed, the user's files stay."""
    (tmp_path / ".semilla-0011.tmp").touch()
    (tmp_path / "notes.tmp").touch()
    files.collect_garbage(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.tmp"]


def test_json_on_disk_is_readable_by_people(tmp_path: Path) -> None:
    """JSON is indented, and accents are not escaped."""
    files.write_json(tmp_path / "x.json", {"a": "ñ"})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "ñ" in text
    assert text.count("\n") == 3
    assert json.loads(text) == {"a": "ñ"}


# ---- every call of the writer


def write_everything(directory: Path) -> None:
    """Make a directory and a file in it, replace a file, and remove a file and a directory."""
    files.make_directory(directory / "bundle")
    files.write_bytes(directory / "bundle" / "model", b"new" * 1000)
    files.write_bytes(directory / "status", b"new")
    files.remove_files([directory / "old"])
    files.remove_directory(directory / "empty")


def prepare(directory: Path) -> Path:
    directory.mkdir()
    (directory / "status").write_bytes(b"old")
    (directory / "old").write_bytes(b"old")
    (directory / "empty").mkdir()
    return directory


def list_calls(tmp_path: Path) -> list[str]:
    with DiskFaults() as calls:
        write_everything(prepare(tmp_path / "rehearsal"))
    return calls.names


def test_every_kind_of_call_is_made(tmp_path: Path) -> None:
    """The tests below therefore cover every call."""
    assert set(list_calls(tmp_path)) == set(disk.CALLS)


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EXDEV]
)
def test_whichever_call_fails_files_are_whole_and_no_draft_is_left(tmp_path: Path, number: int) -> None:
    """D2, D6, D14: whichever call fails and why, files are whole; once the disk works, so does the write."""
    for at in range(1, len(list_calls(tmp_path)) + 1):
        directory = prepare(tmp_path / str(at))
        with DiskFaults(at=at, act=fail_with(number)) as calls, suppress(SemillaError):
            write_everything(directory)
        assert len(calls.names) >= at
        assert (directory / "status").read_bytes() in {b"old", b"new"}
        assert not list(directory.rglob("*.tmp"))
        if (directory / "bundle" / "model").exists():
            assert (directory / "bundle" / "model").read_bytes() == b"new" * 1000
        write_everything(directory)
        assert (directory / "status").read_bytes() == b"new"


def test_killed_at_any_call_files_are_whole(tmp_path: Path) -> None:
    """K2: a kill before each call, or halfway through a write; the next start removes the draft."""
    for at in range(1, len(list_calls(tmp_path)) + 1):
        directory = prepare(tmp_path / str(at))
        child = os.fork()
        if child == 0:
            with DiskFaults(at=at, act=kill):
                write_everything(directory)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        files.collect_garbage(directory)
        assert (directory / "status").read_bytes() in {b"old", b"new"}
        assert {path.name for path in directory.iterdir()} <= {"status", "old", "empty", "bundle"}


def test_nothing_is_named_before_it_is_on_the_disk(tmp_path: Path) -> None:
    """K11: sync the file, rename it, sync the directory; new directories and removals are synced as well."""
    names = list_calls(tmp_path)
    removal = ["unlink", "fsync_directory", "rmdir"]
    draft = ["open_new", "write", "flush", "fsync", "replace", "fsync_directory"]
    assert names == ["mkdir", "fsync_directory", *draft, *draft, *removal]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_file_modes_are_the_usual_ones_minus_the_umask(tmp_path: Path, umask: int) -> None:
    """D16: at most 0644 and 0755, so others cannot write even if the umask would allow it."""
    previous = os.umask(umask)
    try:
        files.make_directory(tmp_path / "bundle")
        files.write_bytes(tmp_path / "bundle" / "model", b"")
    finally:
        os.umask(previous)
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o755 & ~umask
    assert (tmp_path / "bundle" / "model").stat().st_mode & 0o777 == 0o644 & ~umask


def test_a_file_system_that_cannot_sync_directories_is_recognized(tmp_path: Path) -> None:
    """D18: EINVAL from a directory sync is reported, not raised; a real error is raised."""
    with DiskFaults(at=1, act=fail_with(errno.EINVAL), only=["fsync_directory"], is_lasting=True):
        files.write_bytes(tmp_path / "x", b"whole")
        assert not files.sync_directory(tmp_path)
    assert files.sync_directory(tmp_path)
    with DiskFaults(at=1, act=fail_with(errno.EIO), only=["fsync_directory"]), pytest.raises(StorageError):
        files.write_bytes(tmp_path / "x", b"whole")


def test_a_directory_that_disappeared_is_reported_as_such(tmp_path: Path) -> None:
    """D11: the error says that the directory disappeared, and nothing is created."""
    with pytest.raises(StorageError, match=r"gone disappeared"):
        files.write_bytes(tmp_path / "gone" / "x", b"")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_sync_is_followed_by_one_new_file(tmp_path: Path) -> None:
    """The pages of the first file may count as written, so the same file is not synced again."""
    with DiskFaults(at=1, act=fail_with(errno.EIO), only=["fsync"]) as calls:
        files.write_bytes(tmp_path / "ñ", b"semilla")
    assert (tmp_path / "ñ").read_bytes() == b"semilla"
    assert calls.names == ["fsync", "fsync"]
    assert calls.paths[0] != calls.paths[1]
    assert [path.name for path in tmp_path.iterdir()] == ["ñ"]


@pytest.mark.parametrize("depth", [450, 15])
def test_a_forged_record_that_is_too_deep_is_refused(tmp_path: Path, depth: int) -> None:
    """Its hash may be right; what would be validated level by level is refused."""
    value: object = 1
    for _ in range(depth):
        value = {"inputs": [value]}
    files.write_record(tmp_path / "status", {"deep": value})
    for read in (files.read_record, files.read_json):
        with pytest.raises(IntegrityError, match="levels deep"):
            read(tmp_path / "status")


def test_a_forged_record_that_is_too_long_is_refused_unread(tmp_path: Path) -> None:
    """95 MB of a sparse file cost no more than the limit."""
    with (tmp_path / "status").open("wb") as file:
        file.truncate(95 << 20)
    for read in (files.read_record, files.read_json, files.read_bytes):
        with pytest.raises(IntegrityError, match="larger than 8 MB"):
            read(tmp_path / "status")


def test_too_few_inodes_are_told_apart_from_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has one error number for both."""
    error = OSError(errno.ENOSPC, "No space left on device")
    assert from_os_error(error, tmp_path / "x").message.startswith("no space left")
    usage = os.statvfs(tmp_path)
    fields = [*usage[:7], 0, *usage[8:]]
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(fields))
    translated = from_os_error(error, tmp_path / "x")
    assert "no inode is left" in translated.message
    assert translated.next_command == f"df -i {tmp_path}"
