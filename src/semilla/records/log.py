"""The log file of a run, and the last lines of its error output for the status file."""

from __future__ import annotations

import io
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from semilla.escape import escape_controls, redact_credentials
from semilla.records import names
from semilla.records.disk import open_own

STDERR_LINES = 50
"""Lines of error output that the status keeps, as the specification asks."""

logger = logging.getLogger("semilla")


class SafeFormatter(logging.Formatter):
    """Escapes control characters, hides passwords, and indents every line of a record after its first."""

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = escape_controls(super().format(record)).split("\n")
        return redact_credentials("\n".join([first, *(f"  {line}" for line in rest)]))


class ErrorTail(logging.Handler):
    """Keeps the last lines of warnings and errors, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=STDERR_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(self.format(record).splitlines())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class QuietFileHandler(logging.FileHandler):
    """Ignores failures to write: a full disk must not hide the error being logged."""

    def _open(self) -> io.TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", errors="backslashreplace", opener=open_own)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # raised by _open only; logging hands the others to handleError
            self.handleError(record)

    def close(self) -> None:
        """Close the file. What a full disk did not take is tried once more here, and then given up."""
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


@contextmanager
def record_log(directory: Path) -> Iterator[ErrorTail]:
    """Append to ``semilla.log`` in ``directory`` for the length of a run."""
    tail = ErrorTail()
    file = QuietFileHandler(directory / names.LOG, encoding="utf-8", delay=True)
    formatter = SafeFormatter("%(asctime)s %(levelname)s %(message)s")
    previous = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in (tail, file):
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    try:
        yield tail
    finally:
        for handler in (tail, file):
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(previous[0])
        logger.propagate = previous[1]
