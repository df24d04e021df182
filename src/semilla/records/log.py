"""The log file of a run, and the last lines of its error output for the status."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semilla.escape import escape_controls, redact_credentials
from semilla.records import names

STDERR_LINES = 50
"""How much error output the status keeps, as the specification asks."""

logger = logging.getLogger("semilla")


class SafeFormatter(logging.Formatter):
    """Escapes what a message or a traceback may carry from outside, and indents all but a record's first line."""

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
    """A log line that cannot be written (a full disk) must not hide the error it tells of."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name logging gives it
        pass


@contextmanager
def record_log(directory: Path) -> Iterator[ErrorTail]:
    """Write ``semilla.log`` in ``directory`` for the length of a run (appending: attempts follow each other)."""
    tail = ErrorTail()
    file = QuietFileHandler(directory / names.LOG, encoding="utf-8", errors="backslashreplace", delay=True)
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
