"""Every error Semilla raises, as one tree.

    SemillaError                 category             outside a phase
    ├── InvalidConfigError       invalid_config       64 (everywhere)
    ├── LockedError              locked               75 (everywhere)
    ├── InterruptedRunError      interrupted          130 Ctrl-C, 143 SIGTERM (everywhere)
    ├── InternalError            internal             70 (everywhere)
    ├── InvalidCorpusError       invalid_corpus       65
    ├── IntegrityError           integrity            65
    ├── IncompatibleError        incompatible         65
    ├── ValidationFailureError   validation_failure   65
    ├── DivergedError            diverged             65
    ├── DiskSpaceError           disk_space           74
    ├── PermissionDeniedError    permission           74
    ├── StorageError             io_error             74
    ├── NetworkError             network              74
    ├── KilledError              killed               74
    ├── OutOfMemoryError         oom                  74
    └── DependencyError          dependency           74

Inside a phase the exit code is the phase's number (1 to 5), except for the first four. The category is the
``error_type`` in the status file and the topic of ``semilla guide CATEGORY``.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from semilla.escape import redact_credentials
from semilla.installation import find_extra, suggest_installation

Phase = Literal["prerequisite_check", "corpus_download", "tokenizer_training", "model_training", "validation"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""The five phases in order. A phase's exit code is its position, counted from 1."""

EXIT_CODES: dict[int, str] = {
    0: "success, or nothing to do",
    1: "prerequisite_check failed",
    2: "corpus_download failed",
    3: "tokenizer_training failed",
    4: "model_training failed",
    5: "validation failed (the trained model is kept)",
    64: "the command line or the configuration is wrong",
    65: "damaged or incompatible data (outside a phase)",
    70: "internal error: a bug in Semilla",
    74: "disk, memory, network or package problem (outside a phase)",
    75: "another run is using the output directory",
    130: "interrupted by Ctrl-C",
    143: "interrupted by SIGTERM",
}


class SemillaError(Exception):
    """A failure with a category and an exit code.

    ``next_command`` is the command to try next. ``kept`` says what is safe. The pipeline sets ``phase`` when a
    phase was running, and ``kept`` when the raiser left it empty. ``figures`` holds numbers for the log and the
    metrics that are too many for a message.
    """

    category: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 70
    keeps_exit_code: ClassVar[bool] = False
    """Also inside a phase."""

    def __init_subclass__(
        cls, category: str | None = None, exit_code: int | None = None, keeps_exit_code: bool = False
    ) -> None:
        cls.category, cls.exit_code = category or cls.category, exit_code or cls.exit_code
        cls.keeps_exit_code = keeps_exit_code or cls.keeps_exit_code

    def __init__(
        self,
        message: str,
        *,
        next_command: str | None = None,
        kept: str | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> None:
        # Messages reach the terminal, the log and the status file, so passwords are removed here.
        self.message = redact_credentials(message)
        super().__init__(self.message)
        self.figures = dict(figures or {})
        self.next_command = next_command
        self.kept = kept
        self.phase: str | None = None

    @property
    def status(self) -> int:
        """Exit code of a process that ends with this error."""
        if self.phase is None or self.keeps_exit_code:
            return self.exit_code
        return PHASES.index(self.phase) + 1


MAX_SHOWN_CHARACTERS = 120
"""A wrong value is cut to this length in messages."""


ABSENT = "(no value)"
"""What stands for the value of a flag that was given none."""


@dataclass(frozen=True)
class Mistake:
    """One wrong value in a configuration: what was given, what is allowed, and the nearest valid value."""

    field: str
    value: object
    allowed: str
    nearest: object = None
    origin: str | None = None
    """Where the value came from: a flag, a variable or a file."""

    def __str__(self) -> str:
        origin = f" (from {self.origin})" if self.origin else ""
        shown = repr(self.value)
        if len(shown) > MAX_SHOWN_CHARACTERS:
            shown = f"{shown[:MAX_SHOWN_CHARACTERS]}…"
        given = "" if shown == ABSENT and not self.origin else f" = {shown}"
        line = f"{self.field}{given}{origin}: {self.allowed}"
        return line if self.nearest is None else f"{line}; nearest valid value: {self.nearest}"


class InvalidConfigError(SemillaError, category="invalid_config", exit_code=64, keeps_exit_code=True):
    """The command line, environment or configuration file is wrong. Lists every mistake."""

    def __init__(self, message: str, *, mistakes: Sequence[Mistake] = (), **kwargs: Any) -> None:
        super().__init__("\n  ".join([message, *map(str, mistakes)]), **kwargs)
        self.mistakes = tuple(mistakes)


class LockedError(SemillaError, category="locked", exit_code=75, keeps_exit_code=True):
    """Another run is using the output directory."""


class InterruptedRunError(SemillaError, category="interrupted", keeps_exit_code=True):
    """A signal stopped the run. Progress is saved."""

    def __init__(self, signal_number: int, **kwargs: Any) -> None:
        name = "Ctrl-C" if signal_number == signal.SIGINT else signal.Signals(signal_number).name
        super().__init__(f"stopped by {name}", **kwargs)
        self.signal_number = signal_number

    @property
    def status(self) -> int:
        """128 plus the signal number, as shells report it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal_number


class InternalError(SemillaError, keeps_exit_code=True):
    """A bug in Semilla itself."""


class InvalidCorpusError(SemillaError, category="invalid_corpus", exit_code=65):
    """The text cannot be used: it is empty, binary, undecodable or too small."""


class IntegrityError(SemillaError, category="integrity", exit_code=65):
    """An artifact is damaged: its hash, size or structure differs from what was recorded."""


class IncompatibleError(SemillaError, category="incompatible", exit_code=65):
    """Two valid artifacts do not fit together, such as a checkpoint and a different vocabulary."""


class ValidationFailureError(SemillaError, category="validation_failure", exit_code=65):
    """The model missed a validation gate. It is kept. ``missed`` names each gate."""

    def __init__(self, message: str, *, missed: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.missed = tuple(missed)


class DivergedError(SemillaError, category="diverged", exit_code=65):
    """Training produced NaN or infinity. The update was not applied. ``figures`` says where."""


class DiskSpaceError(SemillaError, category="disk_space", exit_code=74):
    """The disk, quota or file-size limit is exhausted, or will be."""


class PermissionDeniedError(SemillaError, category="permission", exit_code=74):
    """No permission to read or write a file or directory."""


class StorageError(SemillaError, category="io_error", exit_code=74):
    """The file system failed: an I/O error, or a directory that disappeared."""


class NetworkError(SemillaError, category="network", exit_code=74):
    """A download failed after all retries."""


class OutOfMemoryError(SemillaError, category="oom", exit_code=74):
    """Memory ran out, or is predicted to."""


class KilledError(SemillaError, category="killed", exit_code=74):
    """A signal ended or stopped a process of the run, and not because memory ran out."""


class DependencyError(SemillaError, category="dependency", exit_code=74):
    """A package is missing, too old or broken."""


CATEGORIES: dict[str, type[SemillaError]] = {kind.category: kind for kind in SemillaError.__subclasses__()}
"""Category -> error class. The specification names disk_space, network, oom and validation_failure."""

RETRYABLE = {"network", "disk_space", "io_error", "interrupted", "locked", "killed"}
"""Categories whose cause may go away: resuming the same run is worth another try."""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNUSABLE_PATH = {errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.ENOTDIR}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "memoryerror",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means out of memory.

    torch and ONNX Runtime raise a plain RuntimeError for it, and an ImportError while they are imported.
    """
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError) and says_out_of_memory(str(error))
    )


def says_out_of_memory(text: str) -> bool:
    """Tell whether an error message, such as ``std::bad_alloc``, means out of memory."""
    return any(phrase in text.lower() for phrase in _OUT_OF_MEMORY)


def from_os_error(error: OSError, path: str | os.PathLike[str]) -> SemillaError:
    """Translate an operating-system error raised while reading or writing ``path``."""
    reason = f"{os.fspath(path)}: {error.strerror or error}"
    if error.errno in _DISK_FULL:
        if error.errno == errno.ENOSPC and (folder := _find_folder_without_inodes(path)):
            return DiskSpaceError(
                f"no inode is left for another file while writing {reason}: remove files, however small",
                next_command=f"df -i {shlex.quote(folder)}",
            )
        return DiskSpaceError(f"no space left while writing {reason}")
    if error.errno in _UNUSABLE_PATH:
        return InvalidConfigError(f"this path cannot be used: {reason}")
    if error.errno in _FORBIDDEN:
        return PermissionDeniedError(f"permission denied: {reason}")
    if error.errno == errno.ENOMEM:
        return OutOfMemoryError(f"out of memory: {reason}")
    return StorageError(f"input/output error: {reason}")


def refuse_lost_directory() -> None:
    """Raise StorageError when the working directory was deleted: torch would end the process while it is imported."""
    try:
        Path.cwd()
    except OSError as error:
        raise StorageError("the working directory does not exist any more", next_command="cd") from error


def _find_folder_without_inodes(path: str | os.PathLike[str]) -> str | None:
    """Return the folder of ``path`` if its file system has space, but no file more."""
    folder = os.path.dirname(os.fspath(path)) or "."  # noqa: PTH120 - the path may be neither text nor valid
    if not hasattr(os, "statvfs"):  # Windows
        return None
    try:
        usage = os.statvfs(folder)
    except (OSError, ValueError):
        return None
    return folder if usage.f_files and not usage.f_favail else None


def translate_error(error: BaseException, *, path: str = "a file") -> SemillaError:
    """Return the Semilla error for any exception; ``path`` is used where an ``OSError`` names no file."""
    if isinstance(error, SemillaError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return InterruptedRunError(signal.SIGINT)
    if is_out_of_memory(error):
        return OutOfMemoryError(f"out of memory{f': {error}' if str(error) else ''}")
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] != "semilla":
        command = suggest_installation(find_extra((error.name or "").partition(".")[0]))
        return DependencyError(f"a package is missing or broken: {error}", next_command=command)
    if isinstance(error, OSError):
        return from_os_error(error, error.filename or path)
    return InternalError(f"{type(error).__name__}: {error}")
