"""Lets Semilla run as on macOS or Windows: what these systems lack is taken away from it, and from nothing else.

Python imports this module when it starts with this folder on PYTHONPATH, and so do its child processes. The variable
ELSEWHERE names the system, as ``sys.platform`` does. Only modules of Semilla see the changed modules, so libraries work
as on this machine. Windows' rules for files are held: see ``_Windows``.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import os
import pathlib
import re
import signal
import subprocess
import sys
import warnings
from types import ModuleType
from typing import Any

SYSTEM = os.environ.get("ELSEWHERE", "")
ROOTS = ("/proc/", "/sys/", "/dev/shm")
"""Where Linux alone tells about processes and itself."""
NOT_ON_MACOS = {
    "os": {"memfd_create", "sched_getaffinity", "sched_setaffinity", "posix_fallocate", "pidfd_open"},
}
NOT_ON_WINDOWS = {
    "os": {
        *NOT_ON_MACOS["os"], "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC", "statvfs", "pwrite", "pread",
        "fwalk", "fork", "getuid", "geteuid", "getpgid", "setsid", "killpg", "mkfifo", "uname", "nice", "sysconf",
    },
    "signal": {"SIGHUP", "SIGKILL", "SIGCONT", "SIGSTOP", "SIGALRM", "SIGUSR1", "SIGQUIT"},
}  # fmt: skip
LIBRARY = {"pathlib", "pathlib._local", "io", "os", "tempfile", "shutil"}
"""Modules that open a file for the one that calls them."""
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')


def is_allowed_on_windows(name: str) -> bool:
    """Return whether Windows takes this as the name of a file or folder."""
    return not RESERVED.match(name) and not FORBIDDEN.search(name)


class Proxy(ModuleType):
    """A module without some of its names, or with others in their place. What is set is set in the module."""

    def __init__(self, real: ModuleType, *, lacks: set[str], own: dict[str, Any]) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _lacks=lacks, **own)

    def __getattr__(self, name: str) -> Any:
        if name in self._lacks:
            raise AttributeError(f"{self.__name__} has no {name} on {SYSTEM}")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


class _Windows:
    """Windows' rules: open files are neither replaced nor removed, folders are not opened, only writers sync."""

    O_BINARY = 0x8000

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        assert flags & self.O_BINARY, f"{path} would be opened as text"
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return os.open(path, flags & ~self.O_BINARY, mode, dir_fd=dir_fd)

    def fsync(self, descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        os.fsync(descriptor)

    def replace(self, source: Any, target: Any) -> None:
        for path in (source, target):
            self._refuse_open(path)
        os.replace(source, target)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        assert dir_fd is None
        self._refuse_open(path)
        os.unlink(path)

    def _refuse_open(self, path: Any) -> None:
        """Look for the file among what this process has open or mapped."""
        place = os.path.realpath(path)
        opened = {os.path.realpath(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")}
        with open("/proc/self/maps", encoding="utf-8") as maps:
            opened |= {
                line.rstrip("\n").partition("/")[2] and "/" + line.rstrip("\n").partition("/")[2]
                for line in maps
            }
        if place in opened:
            raise PermissionError(errno.EACCES, "another program uses this file", str(path))

    def popen(self, *words: Any, creationflags: int = 0, **options: Any) -> subprocess.Popen[Any]:
        assert not options.get("pass_fds"), "Windows passes no descriptors"
        options["start_new_session"] = bool(creationflags)
        return subprocess.Popen(*words, **options)

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        """Lock one byte behind the content for this descriptor, as ``msvcrt.locking`` does."""
        assert (mode, count) == (2, 1)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) > os.fstat(descriptor).st_size
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error


def _make_modules() -> dict[str, ModuleType]:
    if SYSTEM == "darwin":
        lacks, own = NOT_ON_MACOS, {"fcntl": {"F_FULLFSYNC": 51, "fcntl": _sync_fully}}
    else:
        windows, lacks = _Windows(), NOT_ON_WINDOWS
        own = {
            "os": {
                "name": "nt", "O_BINARY": windows.O_BINARY, "open": windows.open, "fsync": windows.fsync,
                "replace": windows.replace, "unlink": windows.unlink, "supports_dir_fd": set(),
            },
            "signal": {"SIGBREAK": signal.SIGTTIN},
            "subprocess": {"Popen": windows.popen, "CREATE_NEW_PROCESS_GROUP": 0x200},
            "msvcrt": {"LK_NBLCK": 2, "locking": windows.locking},
        }  # fmt: skip
    own["sys"] = {"platform": SYSTEM}
    own.setdefault("os", {})["access"] = _access
    names = {*lacks, *own}
    return {
        name: Proxy(
            sys.modules.get(name) or ModuleType(name), lacks=lacks.get(name, set()), own=own.get(name, {})
        )
        for name in names
    }


def _sync_fully(descriptor: int, request: int) -> None:
    assert request == 51
    os.fsync(descriptor)


def _access(path: Any, mode: int) -> bool:
    return not str(path).startswith(ROOTS) and os.access(path, mode)


def _find_importer(frame: Any) -> str:
    """The package of the code that opened a file, behind the standard library's own frames."""
    while frame and frame.f_globals.get("__name__") in LIBRARY:
        frame = frame.f_back
    return _name_package(frame.f_globals) if frame else ""


def _name_package(names: Any) -> str:
    return str(names.get("__package__") or names.get("__name__") or "").partition(".")[0]


def _guard_files(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes | pathlib.Path):
        return
    path = os.fsdecode(arguments[0])
    if _find_importer(sys._getframe().f_back) != "semilla":
        return
    if path.startswith(ROOTS):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if SYSTEM == "win32":
        wrong = [
            name
            for name in path.split("/")
            if name not in {"", ".", ".."} and not is_allowed_on_windows(name)
        ]
        assert not wrong, f"Windows takes no such names: {wrong}"


def install() -> None:
    """Take away from Semilla what the system lacks."""
    modules, really_import = _make_modules(), builtins.__import__
    missing = {"fcntl", "resource", "termios", "pwd", "grp"} if SYSTEM == "win32" else {"msvcrt"}

    def import_as_there(
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and globals and _name_package(globals) == "semilla":
            if name in missing:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in modules:
                return modules[name]
        return really_import(name, globals, locals, fromlist, level)

    builtins.__import__ = import_as_there
    sys.addaudithook(_guard_files)
    # Text files are UTF-8 on every system only if each says so.
    warnings.filterwarnings("error", category=EncodingWarning, module=r"semilla\b")


if SYSTEM:
    install()
