"""No command connects to anything, or writes outside its output: neither do the libraries it uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from confinement import COMMANDS, RELATIVES, can_confine, find_offences, run_confined, run_everything
from tiny_bundle import write_tiny_bundle

from semilla import commands

confined = pytest.mark.skipif(not can_confine(), reason="needs strace, and root to unshare a network")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_bundle(tmp_path / "run")
    return tmp_path


def test_the_runtime_reports_nothing(folder: Path) -> None:
    """Opening a bundle leaves the home directory empty; its telemetry is off in children as well."""
    code = "import semilla, sys; semilla.load(sys.argv[1]).generate('Había', max_tokens=3)"
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = folder / "home"
    home.mkdir()
    program = [sys.executable, "-P", "-c", code, folder / "run"]
    subprocess.run(program, env={**kept, "HOME": str(home), "CI": ""}, check=True)
    assert list(home.rglob("*")) == []
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


@confined
@pytest.mark.parametrize("command", ["generate Había --model run --max-tokens 3", "guide oom"])
def test_two_commands_leave_nothing_and_ask_nobody(folder: Path, command: str) -> None:
    """Under strace, without a network, on a read-only file system."""
    code, output, findings = run_confined(command.split(), folder=folder)
    assert (code, [str(one) for one in findings]) == (0, []), output


@confined
@pytest.mark.slow(reason="runs every command under strace")
def test_no_command_leaves_its_directory_or_the_machine(tmp_path: Path) -> None:
    """Every command once, in an order in which each finds what it needs, and the relatives in docs/faults.md."""
    for command, code, output, findings in run_everything(tmp_path):
        assert (code, [str(one) for one in findings]) == (0, []), f"{command}: {output}"


def test_every_command_is_tried() -> None:
    """A new command needs a line in ``confinement.COMMANDS`` or ``RELATIVES``."""
    lines = [*COMMANDS, *(one.command for one in RELATIVES.values())]
    assert set(commands.COMMANDS) <= {line.split()[0] for line in lines}


@pytest.mark.parametrize(
    "call",
    [
        '12 openat(AT_FDCWD, "/root/.cache/a", O_WRONLY|O_CREAT, 0666) = 3',
        '12 openat(AT_FDCWD, "home/a", O_RDONLY|O_CREAT, 0666) = 3',
        '12 mkdir("/tmp/torchinductor_root", 0777) = 0',
        '12 rename("run/a", "/etc/b") = 0',
        '12 unlink("../a") = 0',
        '12 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("1.1.1.1")}, 16) = -1',
        '12 sendto(3, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53)}, 28) = 1',
        '12 connect(3, {sa_family=AF_UNIX, sun_path="/run/dbus/system_bus_socket"}, 110) = 0',
    ],
)
def test_planted_offences_are_found(call: str) -> None:
    """The harness recognises each."""
    assert list(find_offences([call], folder=Path("/o"))) == [call]


@pytest.mark.parametrize(
    "call",
    [
        '12 openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3',
        '12 openat(AT_FDCWD, "/o/run/a", O_WRONLY|O_CREAT, 0666) = 3',
        '12 openat(AT_FDCWD, "/dev/null", O_RDWR) = 3',
        '12 openat(AT_FDCWD, "/dev/shm", O_RDWR|O_EXCL|O_TMPFILE, 0600) = 6',
        '12 mkdir("/usr/lib", 0777) = -1 EEXIST (File exists)',
        '12 unlinkat(5, ".semilla-0.tmp", 0) = 0',
        '12 sendto(3, "x", 1, 0, NULL, 0) = 1',
        '12 sendto(3, "x", 20, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 20',
        '12 connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT',
        "12 +++ exited with 0 +++",
    ],
)
def test_what_commands_may_do_is_not_reported(call: str) -> None:
    """Reading anywhere, writing into the output, and talking to a child over a socket pair."""
    assert list(find_offences([call], folder=Path("/o"))) == []
