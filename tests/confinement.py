"""Runs every command of the program where nothing but its output can be written, and lists what it tried.

    python tests/confinement.py FOLDER

Each command runs under strace in a network of its own, without addresses, with an empty home directory, and with every
file system but FOLDER mounted read-only. It takes Linux, root, ``unshare`` and ``strace``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil
from small_runs import SMALL, write_text

RUN = [*SMALL, "--max-validation-loss", "20", "--checkpoint-seconds", "1"]
COMMANDS = [
    "check {source} {run}",
    "plan {source} --minutes 1",
    "run --output-dir run {source} {run}",
    "status run",
    "status run --json",
    "validate run",
    "list",
    "info run",
    "evaluate run text.txt",
    "tokenize run Había",
    "generate Había --model run --max-tokens 20 --seed 1",
    "generate Había --model run --max-tokens 20 --seed 1 -n 2 --output run/texts.txt",
    "report run",
    "export run --to onnx",
    "export run --to huggingface",
    "export run --to gguf",
    "sweep --output-dir sweep {source} {run} --num-epochs 1 --seed 1,2",
    "report sweep/seed-1 sweep/seed-2",
    "config show --config run/configuration.toml",
    "config schema",
    "guide",
    "guide oom",
    "completion bash",
    "--help",
    "--version",
    "clean run --yes",
]
"""Every command, in an order in which each finds what it needs; ``tests/test_quiet.py`` checks that none is missing."""


@dataclass(frozen=True)
class Relative:
    """A further way in which a library could write somewhere or ask somebody: a command in special surroundings."""

    command: str
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """Variables to set, or to remove where the value is None."""
    typed: str | None = None
    """What is typed, where the command runs in a terminal."""
    ready: str | None = None
    """What a command prints that ends only with a signal, which it gets then."""
    code: int = 0


GENERATE = "generate Había --model run --max-tokens 5 --seed 1"
RELATIVES = {
    "TensorBoard": Relative("run --output-dir run2 {source} {run} --num-epochs 1 --tracker tensorboard"),
    **{
        tracker: Relative(
            f"run --output-dir run-{tracker} {{source}} {{run}} --num-epochs 1 --tracker {tracker}"
        )
        for tracker in ("trackio", "mlflow")
        if find_spec(tracker)
    },
    "workers": Relative("run --output-dir run3 {source} {run} --num-epochs 1 --num-threads 2"),
    "resume": Relative("run --output-dir run3 {source} {run} --num-epochs 2 --num-threads 2 --resume"),
    "a web page": Relative("export run --to web"),
    "a conversation": Relative(
        "generate --model run --max-tokens 5 --seed 1 --interactive", typed="Había\n/exit\n"
    ),
    "the embedded stories": Relative("check --corpus-source sample {run} --output-dir run4"),
    "watching": Relative("status run --watch"),
    "a server": Relative("serve run --port 0 --host 0.0.0.0", ready="Token: "),
    "no home": Relative(GENERATE, {"HOME": None}),
    "a home that does not exist": Relative(GENERATE, {"HOME": "/nowhere"}),
    "telemetry asked for": Relative(
        GENERATE, {"ORT_DISABLE_TELEMETRY": "0", "HF_HUB_DISABLE_TELEMETRY": "0", "CI": None}
    ),
    "caches elsewhere": Relative(
        "export run --to huggingface --output run5",
        {"XDG_CACHE_HOME": "/var/cache", "HF_HOME": "/var/hf", "TORCH_HOME": "/var/torch"},
    ),
    "no temporary folder": Relative("validate run", {"TMPDIR": "/nowhere"}),
    "a failure with its traceback": Relative("run --output-dir run6 --corpus-source nowhere --debug", code=1),
}
"""What else was tried, by its name in docs/faults.md. Each finds what ``COMMANDS`` left, except for ``clean``."""

CALLS = "%file,%network,ftruncate,fchmod"
ALLOWED = (
    "/dev/null",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts/",
    "/dev/shm/",
    "/proc/self/",
    "/proc/thread-self/",
)
"""Places outside the output that may be opened for writing, because nothing stays there."""
OUTPUT = {
    "home",
    "strace.log",
    "text.txt",
    "sweep",
    "comparison.html",
    "run",
    *(f"run{n}" for n in range(2, 7)),
    "run-trackio",
    "run-mlflow",
}
"""What may be in the folder: the harness's own, and the output of the commands."""
KERNEL = "/sys/fs/cgroup/"
"""Control groups are the kernel's: validation tries to make one, to measure under a real memory limit."""
_CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(?P<name>\w+)\((?P<arguments>.*)$")
_WRITES = re.compile("O_(WRONLY|RDWR|CREAT|TRUNC)")
_CHANGES = {
    "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
    "symlinkat", "truncate", "chmod", "fchmodat", "chown", "lchown", "fchownat", "utimensat", "utime", "utimes",
    "mknod", "mknodat", "creat", "setxattr",
}  # fmt: skip
_USER_DATABASE = 'sun_path="/var/run/nscd/socket"'
"""Python asks the system where an unset HOME would be when it starts: a lookup on this machine."""
_SENDS = {"connect", "sendto", "sendmsg", "sendmmsg"}


@dataclass(frozen=True)
class Finding:
    """What a command did that it must not: the call as strace shows it."""

    command: str
    call: str

    def __str__(self) -> str:
        return f"{self.command}: {self.call}"


def can_confine() -> bool:
    """Return whether this machine allows it."""
    return (
        shutil.which("strace") is not None
        and subprocess.run(
            ["unshare", "--net", "--mount", "true"], check=False, capture_output=True
        ).returncode
        == 0
    )


def make_script(folder: Path) -> str:
    """Shell commands that leave only ``folder`` writable, and then run the program."""
    return f"""
        set -e
        mount --make-rprivate /
        mount --bind {folder} {folder}
        cut -d' ' -f2 /proc/mounts | while read place; do
            case $place in /proc*|/dev*|{folder}) ;; *) mount -o remount,bind,ro "$place" 2>/dev/null || true ;; esac
        done
        cd {folder}
        exec "$@"
    """


def make_command(words: Sequence[str], *, folder: Path, log: Path, has_terminal: bool) -> list[str]:
    """The command under strace, in a network of its own, on file systems that are read-only except for ``folder``."""
    program = [sys.executable, "-P", "-m", "semilla", *words]
    if has_terminal:
        program = ["script", "-qec", shlex.join(program), "/dev/null"]
    trace = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "200", "-e", f"trace={CALLS}", "-o", str(log)]
    return ["unshare", "--net", "--mount", "sh", "-c", make_script(folder), "sh", *trace, *program]


def make_environment(home: Path, changes: Mapping[str, str | None]) -> dict[str, str]:
    """The variables of this process without ours, with an empty home directory and the ``changes``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEMILLA_", "XDG_"))}
    # Python's cache of compiled modules is neither the program's nor a library's.
    changed = {**kept, "HOME": str(home), "TMPDIR": "/tmp", "PYTHONDONTWRITEBYTECODE": "1", **changes}
    return {name: value for name, value in changed.items() if value is not None}


def run_confined(
    words: Sequence[str], *, folder: Path, surroundings: Relative | None = None
) -> tuple[int, str, list[Finding]]:
    """Run a command in ``folder``; return its exit code, its output and what it must not have done.

    A command that only a signal ends gets SIGTERM when it has printed that it is ready.
    """
    one = surroundings or Relative("")
    home, log = folder / "home", folder / "strace.log"
    home.mkdir(exist_ok=True)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        make_command(words, folder=folder, log=log, has_terminal=one.typed is not None),
        env=make_environment(home, one.environment),
        stdin=pipe if one.typed else subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        if one.ready and any(one.ready in line for line in process.stdout or ()):
            psutil.Process(process.pid).children()[0].terminate()
        output, errors = process.communicate(one.typed)
    calls = log.read_text(encoding="utf-8", errors="replace").splitlines()
    findings = [Finding(" ".join(words), call) for call in find_offences(calls, folder=folder)]
    left = [*home.rglob("*"), *(path for path in folder.iterdir() if path.name not in OUTPUT)]
    findings += [Finding(" ".join(words), f"left {path}") for path in left]
    return process.returncode, output + errors, findings


def find_offences(calls: Sequence[str], *, folder: Path) -> Iterator[str]:
    """Yield the calls that write outside ``folder``, or send anything to anybody but a child process or the kernel."""
    for call in calls:
        match = _CALL.match(call)
        if match is None:
            continue
        name, arguments = match["name"], match["arguments"]
        is_addressed = name in _SENDS and "sa_family=" in arguments
        if is_addressed and "sa_family=AF_NETLINK" not in arguments and _USER_DATABASE not in arguments:
            yield call
        # What is there already is not changed by another mkdir, and a file without a name leaves nothing.
        leaves_nothing = arguments.endswith("EEXIST (File exists)") or "O_TMPFILE" in arguments
        is_opened = name in {"open", "openat", "openat2"} and _WRITES.search(arguments)
        if (is_opened or name in _CHANGES) and not leaves_nothing:
            paths = re.findall(r'"((?:[^"\\]|\\.)*)"', arguments)
            if not all(_is_allowed(path, folder) for path in paths):
                yield call


def _is_allowed(path: str, folder: Path) -> bool:
    # A relative path belongs to the working directory, or to a directory opened in it.
    if path.startswith((*ALLOWED, KERNEL)):
        return True
    inner = path.removeprefix(f"{folder}/")
    return not inner.startswith("/") and ".." not in inner and inner.partition("/")[0] != "home"


def run_everything(folder: Path) -> Iterator[tuple[str, int, str, list[Finding]]]:
    """Run all ``COMMANDS``, with the ``RELATIVES`` before the last; yield each with its output and its findings.

    The number is 0 where a command ended with the exit code that it should.
    """
    write_text(folder / "text.txt")
    *first, last = (Relative(command) for command in COMMANDS)
    for one in [*first, *RELATIVES.values(), last]:
        words = one.command.format(source="--corpus-source text.txt", run=" ".join(RUN)).split()
        code, output, findings = run_confined(words, folder=folder, surroundings=one)
        yield one.command, code - one.code, output, findings


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    place.mkdir(parents=True, exist_ok=True)
    num_findings = 0
    for command, code, _, findings in run_everything(place):
        sys.stdout.write(f"{code:>3}  {command}\n" + "".join(f"     {one.call}\n" for one in findings))
        sys.stdout.flush()
        num_findings += len(findings) + (code != 0)
    sys.exit(num_findings != 0)
