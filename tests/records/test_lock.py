"""Only one run at a time holds a directory, however the others end."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from pathlib import Path

import pytest

from semilla.errors import InvalidConfigError, LockedError
from semilla.records import names
from semilla.records.lock import hold_lock, is_locked


def hold_in_child(directory: Path) -> tuple[int, int]:
    """Hold the directory in a child process; returns its pid and a pipe that closes when it dies."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with hold_lock(directory):
            os.write(writer, b".")
            signal.pause()
    os.close(writer)
    assert os.read(reader, 1) == b"."
    return child, reader


@pytest.mark.parametrize(("tries", "num_processes"), [(20, 2), (1, 20)])
def test_of_many_at_the_same_instant_one_holds_the_directory(
    tmp_path: Path, tries: int, num_processes: int
) -> None:
    """R17: of two or twenty processes started together, one gets the lock and the others learn who has it."""
    for _ in range(tries):
        assert start_together(tmp_path, num_processes) == ["h", *["l"] * (num_processes - 1)]


def start_together(directory: Path, num_processes: int) -> list[str]:
    """How each process ended: h held the lock, l was told who holds it, ? anything else."""
    start_reader, start_writer = os.pipe()
    result_reader, result_writer = os.pipe()
    end_reader, end_writer = os.pipe()
    children = []
    for _ in range(num_processes):
        child = os.fork()
        if child == 0:
            os.close(start_writer)
            os.close(end_writer)
            os.read(start_reader, 1)
            try:
                with hold_lock(directory):
                    os.write(result_writer, b"h")
                    os.read(end_reader, 1)
            except LockedError as error:
                is_told = re.search(r"process \d+ since 20", error.message) and error.status == 75
                os.write(result_writer, b"l" if is_told else b"?")
            os._exit(0)
        children.append(child)
    os.close(start_writer)  # all of them read the end of the pipe at once
    reported = b"".join(os.read(result_reader, 1) for _ in children)
    os.close(end_writer)
    for child in children:
        os.waitpid(child, 0)
    for descriptor in (start_reader, result_reader, result_writer, end_reader):
        os.close(descriptor)
    return sorted(reported.decode())


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """R18: the file stays with the pid in it, but the kernel has released the lock."""
    child, reader = hold_in_child(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(LockedError, match=f"process {child} since 20"), hold_lock(tmp_path):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    (tmp_path / names.LOCK).write_text(f'{{"process_id": {os.getpid()}, "since": "now"}}')
    assert not is_locked(tmp_path)
    with hold_lock(tmp_path):
        assert is_locked(tmp_path)


def test_a_child_that_outlives_its_killed_run_for_an_instant_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R18: a forked child keeps the lock until it runs its own program, so a reader asks again."""
    child, reader = hold_in_child(tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    with (tmp_path / names.LOCK).open() as orphan:
        fcntl.flock(orphan, fcntl.LOCK_EX)
        assert is_locked(tmp_path)
        monkeypatch.setattr("time.sleep", lambda seconds: fcntl.flock(orphan, fcntl.LOCK_UN))
        assert not is_locked(tmp_path)


def test_a_reader_that_looks_does_not_turn_a_run_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R20: checking for a run takes the lock for an instant; a run that starts just then tries again."""
    (tmp_path / names.LOCK).touch()
    with (tmp_path / names.LOCK).open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        monkeypatch.setattr("time.sleep", lambda seconds: fcntl.flock(reader, fcntl.LOCK_UN))
        with hold_lock(tmp_path):
            pass


def test_a_lock_file_that_was_cleaned_away_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R17: a lock on a file that was removed meanwhile is no use, so the run locks the new file."""
    flock, opened = fcntl.flock, []

    def remove_first(file, operation: int) -> None:
        opened.append(os.fstat(file.fileno()).st_ino)
        if len(opened) == 1:
            (tmp_path / names.LOCK).unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with hold_lock(tmp_path):
        assert (tmp_path / names.LOCK).stat().st_ino == opened[-1]
        assert len(opened) == 2


def test_a_lock_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Its first line names the holder; a second one, after padding, said what the run was doing."""
    holder = f'{{"process_id": {os.getpid()}, "since": "2026-01-01"}}\n'.encode()
    (tmp_path / names.LOCK).write_bytes(holder.ljust(512, b"\0") + b'12345678 {"step": null}\n')
    with (tmp_path / names.LOCK).open() as old_run:
        fcntl.flock(old_run, fcntl.LOCK_EX)
        assert is_locked(tmp_path)
        with pytest.raises(LockedError, match=f"process {os.getpid()} since 2026"), hold_lock(tmp_path):
            pass
    with hold_lock(tmp_path):
        assert len((tmp_path / names.LOCK).read_bytes().splitlines()) == 1


@pytest.mark.parametrize(
    "content", ["[" * 200_000, "x" * (64 << 20), "", "null", "[1]", '{"process_id": {}}']
)
def test_whatever_is_in_the_lock_file_a_held_directory_is_held(tmp_path: Path, content: str) -> None:
    """JSON nested without end, a line without end, or another value: the holder is unknown, and the lock counts."""
    (tmp_path / names.LOCK).write_text(content)
    with (tmp_path / names.LOCK).open() as run:
        fcntl.flock(run, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="it has just started"), hold_lock(tmp_path):
            pass


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """The file it leads to stays as it is."""
    (tmp_path / "mine").write_text("mío")
    (tmp_path / names.LOCK).symlink_to(tmp_path / "mine")
    with pytest.raises(InvalidConfigError, match="cannot be used"), hold_lock(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "mío"
