"""Child processes end with their parent, and every wait for one is bounded."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from semilla.errors import DependencyError, InterruptedRunError, KilledError
from semilla.system import interrupts
from semilla.system.child import IMPORT_FAILED
from semilla.system.children import explain_end, make_command, run_module
from semilla.system.endings import read_marks

PARENT = """
import subprocess, sys
from semilla.system.children import make_command
child = subprocess.Popen(make_command("planted"), stdout=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``planted`` that children find; tests write its code."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "planted.py"


def test_a_child_gets_its_input_and_gives_its_output(module: Path) -> None:
    """As bytes, of any size, with its exit code."""
    module.write_text(
        "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); sys.exit(3)"
    )
    content = bytes(range(256)) * 4096
    done = run_module("planted", timeout_s=60, content=content)
    assert (done.returncode, done.stdout) == (3, content[::-1])


def test_a_child_without_a_package_says_so(module: Path) -> None:
    """A missing package in a child is ``dependency``, with its name; one that a worker lacks as well."""
    module.write_text("import a_package_that_is_missing")
    with pytest.raises(DependencyError, match="a_package_that_is_missing"):
        run_module("planted", timeout_s=60)
    assert isinstance(explain_end(IMPORT_FAILED, {}), DependencyError)


def test_a_module_of_our_own_that_is_missing_is_a_defect(module: Path) -> None:
    """No package can be installed to mend that."""
    module.write_text("import semilla.nothing")
    assert run_module("planted", timeout_s=60).returncode == 1


def test_a_wait_for_a_child_ends_with_a_signal(module: Path) -> None:
    """The child is killed, whatever it does."""
    module.write_text("import os, sys, time; sys.stderr.write(str(os.getpid())); time.sleep(600)")
    with interrupts.catch_signals():
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(InterruptedRunError):
            run_module("planted", timeout_s=600)


def test_a_wait_for_a_child_has_an_end(module: Path) -> None:
    """Also when it is stopped."""
    module.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    with pytest.raises(subprocess.TimeoutExpired):
        run_module("planted", timeout_s=1)


def test_a_child_that_was_killed_is_called_that() -> None:
    """Without the kernel's count, memory is not blamed."""
    for marks in ({}, read_marks()):
        assert isinstance(explain_end(-signal.SIGKILL, marks), KilledError)
    assert isinstance(explain_end(-signal.SIGKILL, {**read_marks(), "oom_kills": -1}), MemoryError)


def test_a_stopped_child_ends_with_its_parent(module: Path) -> None:
    """The kernel kills it: it could not notice by itself."""
    module.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    process_id = int(parent.stdout.readline())
    child = os.pidfd_open(process_id)
    while "State:\tT" not in Path(f"/proc/{process_id}/status").read_text(encoding="ascii"):
        select.select([], [], [], 0.05)
    parent.kill()
    parent.communicate()
    ended = select.poll()
    ended.register(child)
    assert ended.poll(60_000)
    os.close(child)


def test_a_child_whose_parent_is_gone_already_does_not_begin(module: Path) -> None:
    """It compares its parent with the one that started it."""
    module.write_text("print('began')")
    command = make_command("planted")
    command[command.index(str(os.getpid()))] = "1"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
