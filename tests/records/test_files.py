"""Artifacts are complete under their final name, or absent, and known by their hash."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from semilla.errors import DiskSpaceError, IntegrityError, PermissionDeniedError, StorageError
from semilla.records import files


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Bytes and JSON, with accents."""
    files.write_json(tmp_path / "a.json", {"niño": "¿qué?"})
    assert files.read_json(tmp_path / "a.json") == {"niño": "¿qué?"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_trace(tmp_path: Path, monkeypatch, call: str) -> None:
    """A full disk, met late, changes nothing."""
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
    """Full, over quota, too large; read-only, forbidden; broken, vanished."""
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(number, os.strerror(number)))
    )
    with pytest.raises(kind):
        files.write_bytes(tmp_path / "x", b"")


def test_files_obey_the_umask(tmp_path: Path) -> None:
    """Others may read what the user lets them read."""
    previous = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(previous)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_json_without_numbers_that_are_none(tmp_path: Path) -> None:
    """NaN never reaches a file."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_damaged_json_is_an_integrity_error(tmp_path: Path, content: bytes) -> None:
    """Whatever is wrong with it."""
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(IntegrityError):
        files.read_json(tmp_path / "x.json")


def test_an_artifact_that_changed_is_noticed(tmp_path: Path) -> None:
    """By size, by content, by absence."""
    path = tmp_path / "best_model.pt"
    files.write_bytes(path, b"weights")
    artifact = files.describe_artifact(path, root=tmp_path)
    files.verify_artifact(artifact, root=tmp_path)
    for bad in (b"weight", b"weighty", None):
        path.unlink() if bad is None else path.write_bytes(bad)
        with pytest.raises(IntegrityError, match=r"best_model\.pt"):
            files.verify_artifact(artifact, root=tmp_path)
        assert not files.is_intact(artifact, root=tmp_path)


def test_what_killed_writers_left_is_collected(tmp_path: Path) -> None:
    """Our temporary files go, the user's stay."""
    (tmp_path / ".semilla-0011.tmp").touch()
    (tmp_path / "notes.tmp").touch()
    files.collect_garbage(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.tmp"]


def test_json_on_disk_is_readable_by_people(tmp_path: Path) -> None:
    """Indented, accents as they are."""
    files.write_json(tmp_path / "x.json", {"a": "ñ"})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "ñ" in text
    assert text.count("\n") == 3
    assert json.loads(text) == {"a": "ñ"}
