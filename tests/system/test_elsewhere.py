"""Whole runs as on macOS and Windows: with what these systems lack taken away, and Windows' rules for files held."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import list_words, write_text

FOLDER = Path(__file__).parent / "elsewhere"
_SPEC = importlib.util.spec_from_file_location("elsewhere_rules", FOLDER / "sitecustomize.py")
assert _SPEC
assert _SPEC.loader
rules = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rules)

CODE_PAGE = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}


def start(system: str, *words: str, place: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command as on ``system``; its console has an old code page, and its files no default encoding."""
    environment = {**os.environ, **CODE_PAGE, "PYTHONPATH": str(FOLDER), "ELSEWHERE": system}
    command = [sys.executable, "-X", "warn_default_encoding", "-m", "semilla", "--debug", *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False, timeout=550)


@pytest.mark.parametrize(
    ("system", "num_threads"),
    [
        ("win32", "1"),
        pytest.param("darwin", "2", marks=pytest.mark.slow(reason="a whole run; that of Windows lacks more")),
    ],
)
def test_a_run_succeeds_and_can_be_read_repeated_and_removed(
    tmp_path: Path, system: str, num_threads: str
) -> None:
    """Every phase passes; status, generate and clean work; the second run has nothing to do."""
    text = write_text(tmp_path / "libro.txt")
    text.write_bytes(text.read_bytes().replace(b"\n", b"\r\n"))
    words = [*list_words(Path("run"), "libro.txt"), "--num-threads", num_threads]
    done = start(system, *words, place=tmp_path)
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert "Every gate passed" in done.stdout.decode("cp1252")
    assert "enforces no limit of memory" in done.stdout.decode("cp1252")
    names = [path.name for path in tmp_path.rglob("*")]
    assert [name for name in names if not rules.is_allowed_on_windows(name)] == []
    assert b"\r" not in (tmp_path / "run" / "corpus.txt").read_bytes()

    again = start(system, *words, place=tmp_path)
    assert "Nothing to do" in again.stdout.decode("cp1252")
    status = start(system, "status", "run", "--json", place=tmp_path)
    assert json.loads(status.stdout)["current_phase"] == "complete"
    told = start(system, "generate", "Había", "--model", "run", "--seed", "1", place=tmp_path)
    assert told.stdout.decode("cp1252").startswith("Había")
    assert start(system, "clean", "run", "--yes", place=tmp_path).returncode == 0
    assert list((tmp_path / "run").iterdir()) == []


def test_one_run_at_a_time_also_on_windows(tmp_path: Path) -> None:
    """A lock that a run holds on Windows is seen by other commands there."""
    program = (
        "from pathlib import Path\n"
        "from semilla.records.lock import hold_lock, is_locked\n"
        "from semilla.errors import LockedError\n"
        "with hold_lock(Path('.')):\n"
        "    assert is_locked(Path('.'))\n"
        "    try:\n"
        "        with hold_lock(Path('.')): pass\n"
        "    except LockedError as error:\n"
        "        print(error)\n"
        "assert not is_locked(Path('.'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(FOLDER), "ELSEWHERE": "win32"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "another run is using" in done.stdout


@pytest.mark.parametrize("name", ["con", "NUL.txt", "com1", "a:b", "what?", "ends.", "ends ", "a|b"])
def test_names_that_windows_refuses_are_known(name: str) -> None:
    """The rules that the simulation holds find each of these."""
    assert not rules.is_allowed_on_windows(name)
    assert rules.is_allowed_on_windows("corpus_bilingual.txt")


def test_the_simulation_takes_away(tmp_path: Path) -> None:
    """What Windows lacks is missing for Semilla, and for nothing else."""
    program = (
        "import os, sys, fcntl\n"
        "assert os.statvfs('/') and sys.platform == 'linux'\n"
        "from semilla.system import locks, processor, storage\n"
        "assert not hasattr(locks, 'fcntl') and not hasattr(storage.os, 'statvfs')\n"
        "assert storage.sys.platform == 'win32' and processor._read_first_processor() == {}\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(FOLDER), "ELSEWHERE": "win32"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
