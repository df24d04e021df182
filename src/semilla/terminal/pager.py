"""Shows a long text page by page, when the output is a terminal."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DEFAULT_PAGER = "less"
OPTIONS = "FRX"
"""For less, where LESS is not set: end at once if the text fits, show colours, leave the text on the screen."""


class Page(io.StringIO):
    """Collects output, and describes the terminal that it is for."""

    def __init__(self, terminal: io.TextIOBase) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.terminal.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.terminal.encoding


@contextmanager
def page_output() -> Iterator[None]:
    """Collect what is printed, then show it in the pager. Without a terminal or a pager, it is printed as usual."""
    terminal, command = sys.stdout, find_pager()
    if not command or not terminal.isatty() or not sys.stdin.isatty():
        yield
        return
    page = Page(terminal)  # type: ignore[arg-type]
    sys.stdout = page
    try:
        yield
    finally:
        sys.stdout = terminal
        show(page.getvalue(), command)


def find_pager() -> list[str]:
    """The words of PAGER, or less if it is installed; no words if there is none, or PAGER is empty or cat."""
    words = shlex.split(os.environ.get("PAGER", DEFAULT_PAGER))
    return words if words and words[0] != "cat" and shutil.which(words[0]) else []


def show(text: str, command: list[str]) -> None:
    """Give a text to a pager; print it if the pager cannot be started. A reader may leave before the end."""
    if len(text.splitlines()) < shutil.get_terminal_size().lines:
        sys.stdout.write(text)
        return
    environment = {"LESS": OPTIONS, **os.environ}
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)  # noqa: S603 - PAGER is the user's
    except OSError:
        sys.stdout.write(text)
        return
    try:
        process.communicate(text.encode(sys.stdout.encoding or "utf-8", "replace"))
    except KeyboardInterrupt:  # less takes Ctrl-C for itself, so the reader is still there
        process.wait()
