"""A folder is complete under its name or absent, and files of others are never touched."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from disk_faults import DiskFaults, fail_with

from semilla.errors import DiskSpaceError, InvalidConfigError
from semilla.records.folders import check_replaceable, seal_folder, stage_folder

SEAL = "seal.json"


def write_folder(path: Path, content: str = "una semilla") -> None:
    with stage_folder(path) as staged:
        (staged / "text.txt").write_text(content, encoding="utf-8")
        seal_folder(staged, name=SEAL, description={"kind": "text"})


def list_tree(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


def test_a_folder_appears_when_all_in_it_is_written(tmp_path: Path) -> None:
    """Until then it has another name. Missing parents are created."""
    with stage_folder(tmp_path / "a" / "b" / "ñandú") as staged:
        (staged / "text.txt").touch()
        assert not (tmp_path / "a" / "b" / "ñandú").exists()
    assert list_tree(tmp_path) == ["a", "a/b", "a/b/ñandú", "a/b/ñandú/text.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """No file of the earlier folder remains."""
    with stage_folder(tmp_path / "it") as staged:
        (staged / "old.txt").touch()
    write_folder(tmp_path / "it")
    assert list_tree(tmp_path) == ["it", f"it/{SEAL}", "it/text.txt"]


def test_an_exception_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """The earlier folder keeps its name and content, and no temporary folder remains."""
    write_folder(tmp_path / "it")
    with pytest.raises(ZeroDivisionError), stage_folder(tmp_path / "it") as staged:
        (staged / "text.txt").write_text(str(1 / 0))
    assert list_tree(tmp_path) == ["it", f"it/{SEAL}", "it/text.txt"]
    check_replaceable(tmp_path / "it", name=SEAL)


def test_a_failing_call_leaves_a_complete_folder_or_none(tmp_path: Path) -> None:
    """Whichever system call fails, the name belongs to the old folder, the new one or nothing, never to a part."""
    with DiskFaults() as rehearsal:
        write_folder(tmp_path / "rehearsal")
        write_folder(tmp_path / "rehearsal", "otra")
    num_calls = len(rehearsal.names)
    assert num_calls > 20
    for at in range(1, num_calls + 1):
        path = tmp_path / str(at) / "it"
        with DiskFaults(at=at, act=fail_with(errno.ENOSPC)):
            try:
                write_folder(path)
                write_folder(path, "otra")
            except DiskSpaceError:
                pass
        if path.exists():
            assert list_tree(path) == [SEAL, "text.txt"], f"call {at}, {rehearsal.names[at - 1]}"
            check_replaceable(path, name=SEAL)
        write_folder(path)
        assert list_tree(path.parent) == ["it", f"it/{SEAL}", "it/text.txt"]


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    """Only folders staged for the same name are removed: another writer may still use the others."""
    other = stage_folder(tmp_path / "other")
    kept = other.__enter__()
    killed = stage_folder(tmp_path / "it")
    (killed.__enter__() / "half.txt").touch()
    write_folder(tmp_path / "it")
    assert list_tree(tmp_path) == sorted([kept.name, "it", f"it/{SEAL}", "it/text.txt"])
    del killed


def test_a_sealed_folder_may_be_replaced(tmp_path: Path) -> None:
    """An empty folder and a missing one may be replaced, too."""
    write_folder(tmp_path / "it")
    (tmp_path / "empty").mkdir()
    for name in ("it", "empty", "absent"):
        check_replaceable(tmp_path / name, name=SEAL, **({"kind": "text"} if name == "it" else {}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "notes.md").touch(), r"contains notes\.md, which is not from an export"),
        (
            lambda folder: (folder / "text.txt").write_text("mine"),
            r"text\.txt in it has changed since the export",
        ),
        (lambda folder: (folder / SEAL).unlink(), "holds files but no seal"),
        (lambda folder: (folder / SEAL).write_text("[1]"), "holds files but no seal"),
        (lambda folder: (folder / SEAL).write_text('{"files": []}'), "its kind is None"),
    ],
    ids=["foreign file", "changed file", "no seal", "another seal", "another kind"],
)
def test_a_folder_with_other_content_is_not_replaced(tmp_path: Path, damage: object, reason: str) -> None:
    """An added file, a changed file and a folder of other origin are each refused with the reason."""
    write_folder(tmp_path / "it")
    damage(tmp_path / "it")  # type: ignore[operator]
    with pytest.raises(InvalidConfigError, match=reason):
        check_replaceable(tmp_path / "it", name=SEAL, kind="text")


def test_a_file_in_the_folders_place_is_not_replaced(tmp_path: Path) -> None:
    """A dangling symbolic link is not replaced either."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(InvalidConfigError, match="it is not a folder"):
            check_replaceable(tmp_path / name, name=SEAL)
