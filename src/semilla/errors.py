"""Every way Semilla can fail, as one tree.

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
    ├── OutOfMemoryError         oom                  74
    └── DependencyError          dependency           74

Inside a phase the exit code is the phase's ordinal (1 to 5), except for the first four. The category is the
``error_type`` of the status file and the topic of ``semilla guide CATEGORY``.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from semilla.escape import redact_credentials

PHASES = ("prerequisite_check", "corpus_download", "tokenizer_training", "model_training", "validation")
"""The five phases in order; a phase's exit code is its place here, counted from 1."""

EXIT_CODES: dict[int, str] = {
    0: "finished; or nothing had to be done",
    1: "prerequisite_check failed",
    2: "corpus_download failed",
    3: "tokenizer_training failed",
    4: "model_training failed",
    5: "validation failed (the trained model is kept)",
    64: "the command line or the configuration is wrong",
    65: "damaged or mismatched data (commands outside a phase)",
    70: "internal error: a defect in Semilla",
    74: "the machine refused: disk, memory, network, packages (commands outside a phase)",
    75: "another run holds the output directory",
    130: "interrupted by Ctrl-C",
    143: "interrupted by SIGTERM",
}


class SemillaError(Exception):
    """A failure with a category, an exit code and a way on.

    ``next_command`` is the exact command to try next; ``phase`` is set by the pipeline when a phase was
    running; ``kept`` says what is safe, and is filled in by the pipeline when the raiser does not know;
    ``figures`` are numbers for the records, too many for a message.
    """

    category: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 70
    keeps_exit_code_in_phase: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        next_command: str | None = None,
        kept: str | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> None:
        # Messages go to the terminal, the log and the status, none of which is a place for passwords.
        super().__init__(redact_credentials(message))
        self.message = redact_credentials(message)
        self.figures = dict(figures or {})
        self.next_command = next_command
        self.kept = kept
        self.phase: str | None = None

    @property
    def status(self) -> int:
        """The exit code of a process that ends with this error."""
        if self.phase is None or self.keeps_exit_code_in_phase:
            return self.exit_code
        return PHASES.index(self.phase) + 1


@dataclass(frozen=True)
class Mistake:
    """One wrong value of a configuration: what was given, what is allowed, and the nearest value that is."""

    field: str
    value: object
    allowed: str
    nearest: object = None
    origin: str | None = None
    """Where the value came from: a flag, a variable, a file."""

    def __str__(self) -> str:
        origin = f" (from {self.origin})" if self.origin else ""
        line = f"{self.field} = {self.value!r}{origin}: {self.allowed}"
        return line if self.nearest is None else f"{line}; nearest valid value: {self.nearest}"


class InvalidConfigError(SemillaError):
    """The command line, environment, file or object does not make a configuration; lists every mistake."""

    category = "invalid_config"
    exit_code = 64
    keeps_exit_code_in_phase = True

    def __init__(self, message: str, *, mistakes: Sequence[Mistake] = (), **kwargs: Any) -> None:
        super().__init__("\n  ".join([message, *map(str, mistakes)]), **kwargs)
        self.mistakes = tuple(mistakes)


class LockedError(SemillaError):
    """Another run holds the output directory."""

    category = "locked"
    exit_code = 75
    keeps_exit_code_in_phase = True


def _name_signal(number: int) -> str:
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


class InterruptedRunError(SemillaError):
    """A signal asked the run to stop; what was reached is saved."""

    category = "interrupted"
    keeps_exit_code_in_phase = True

    def __init__(self, signal_number: int, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message or f"stopped by {_name_signal(signal_number)}", **kwargs)
        self.signal_number = signal_number

    @property
    def status(self) -> int:
        """128 plus the signal's number, as shells report it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal_number


class InternalError(SemillaError):
    """A defect in Semilla itself."""

    keeps_exit_code_in_phase = True


class InvalidCorpusError(SemillaError):
    """The text cannot be used: empty, binary, undecodable, too small."""

    category = "invalid_corpus"
    exit_code = 65


class IntegrityError(SemillaError):
    """An artifact is damaged: its hash, its size or its structure is not what was recorded."""

    category = "integrity"
    exit_code = 65


class IncompatibleError(SemillaError):
    """Two sound artifacts do not belong together: a checkpoint and another vocabulary or architecture."""

    category = "incompatible"
    exit_code = 65


class ValidationFailureError(SemillaError):
    """A gate of the validation was missed; the trained model is kept. ``missed`` names each gate."""

    category = "validation_failure"
    exit_code = 65

    def __init__(self, message: str, *, missed: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.missed = tuple(missed)


class DivergedError(SemillaError):
    """Training produced a number that is none; the update was not made. ``figures`` tell where and which."""

    category = "diverged"
    exit_code = 65


class DiskSpaceError(SemillaError):
    """The disk, the quota or the file-size limit is used up, or will be."""

    category = "disk_space"
    exit_code = 74


class PermissionDeniedError(SemillaError):
    """A file or directory may not be read or written."""

    category = "permission"
    exit_code = 74


class StorageError(SemillaError):
    """The file system failed: an I/O error, a vanished directory."""

    category = "io_error"
    exit_code = 74


class NetworkError(SemillaError):
    """A download failed for good."""

    category = "network"
    exit_code = 74


class OutOfMemoryError(SemillaError):
    """Memory ran out, or is predicted to."""

    category = "oom"
    exit_code = 74


class DependencyError(SemillaError):
    """A package is missing, too old or broken."""

    category = "dependency"
    exit_code = 74


CATEGORIES: dict[str, type[SemillaError]] = {
    kind.category: kind
    for kind in (
        DiskSpaceError,
        NetworkError,
        OutOfMemoryError,
        ValidationFailureError,
        InvalidConfigError,
        InvalidCorpusError,
        IntegrityError,
        IncompatibleError,
        PermissionDeniedError,
        StorageError,
        LockedError,
        DivergedError,
        InterruptedRunError,
        DependencyError,
        InternalError,
    )
}
"""Category -> error class; the first four are the specification's, the others are additions."""

PASSING = {"network", "disk_space", "io_error", "interrupted", "locked"}
"""Categories whose cause goes away by itself or outside Semilla: the same run, resumed, is worth another try."""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_IMPOSSIBLE_NAME = {errno.ENAMETOOLONG, errno.ELOOP}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that memory ran out; torch and ONNX Runtime raise plain RuntimeErrors."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(phrase in text for phrase in _OUT_OF_MEMORY)
    )


def from_os_error(error: OSError, path: str | os.PathLike[str]) -> SemillaError:
    """Translate an operating-system error met while writing or reading ``path``."""
    reason = f"{os.fspath(path)}: {error.strerror or error}"
    if error.errno in _DISK_FULL:
        return DiskSpaceError(f"no space left while writing {reason}")
    if error.errno in _IMPOSSIBLE_NAME:
        return InvalidConfigError(f"no file can have this name: {reason}")
    if error.errno in _FORBIDDEN:
        return PermissionDeniedError(f"not allowed: {reason}")
    if error.errno == errno.ENOMEM:
        return OutOfMemoryError(f"out of memory: {reason}")
    return StorageError(f"input/output failed: {reason}")
