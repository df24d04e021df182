"""Run the blocks of a chapter in order, as a reader would, and compare what they print with the guide.

The Python blocks of a chapter share one namespace. Each command of a shell block runs in bash. ``...`` in an expected
output matches anything, as in doctest. The whole output is compared, including warnings.
"""

from __future__ import annotations

import contextlib
import difflib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semilla.guide.chapters import CodeExample, DocumentSection

TIMEOUT_S = 3600
"""Stops a command that hangs; long enough for a busy machine."""
_COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*(?:\n> .*)*)\n?", re.MULTILINE)


@dataclass
class Reader:
    """Runs blocks in ``folder``. ``log`` is called with each place, step and output."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    log: Any = None

    def follow(self, chapter: DocumentSection) -> list[str]:
        """Run the blocks of a chapter in a new namespace; return a complaint for each unexpected output."""
        self.names = {"__name__": "__main__"}
        return [
            complaint for example in chapter.code_examples for complaint in self.try_example(chapter, example)
        ]

    def try_example(self, chapter: DocumentSection, example: CodeExample) -> Iterator[str]:
        """Run one block and yield a complaint for each unexpected output."""
        place = f"{chapter.file_name}:{example.line}"
        run = self.run_python if example.language == "python" else self.run_shell
        for step, want, got in run(example, place):
            if self.log:
                self.log(place, step, got)
            if not matches(want, got):
                yield f"{place}: {step}\n{compare(want, got)}"

    def run_python(self, example: CodeExample, place: str) -> Iterator[tuple[str, str, str]]:
        """Run a block in the namespace of the chapter; yield its first line, its expected and its actual output."""
        code = compile("\n" * (example.line - 1) + example.source, place.partition(":")[0], "exec")
        printed, before = io.StringIO(), Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                exec(code, self.names)
        except (Exception, SystemExit) as error:  # a reader would see any exception
            printed.write(f"{type(error).__name__}: {error}\n")
        finally:
            os.chdir(before)
        yield example.source.splitlines()[0], example.output, printed.getvalue()

    def run_shell(self, example: CodeExample, _place: str) -> Iterator[tuple[str, str, str]]:
        """Run each command of a session; yield it, its expected and its actual output, with a wrong exit code."""
        session = list(split_session(example.source))
        for number, (command, want) in enumerate(session, start=1):
            status = example.exit_code if number == len(session) else 0
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=make_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=TIMEOUT_S,
                check=False,
            )
            ending = f"exit code {done.returncode}\n" if done.returncode != status else ""
            yield command, want, done.stdout + ending


def split_session(source: str) -> Iterator[tuple[str, str]]:
    """Split a shell block into commands, each with its expected output."""
    matches = list(_COMMAND.finditer(source))
    ends = [match.start() for match in matches[1:]] + [len(source)]
    if not matches or matches[0].start() != 0:
        raise ValueError(f"a shell block begins with `$ command`: {source!r}")
    for match, end in zip(matches, ends, strict=True):
        yield match["command"].replace("\n> ", "\n"), source[match.end() : end]


def make_environment() -> dict[str, str]:
    """Return the environment of a new terminal: this Python first on PATH, without settings for Semilla or pytest."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEMILLA_", "PYTEST_"))}
    programs = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{programs}{os.pathsep}{kept['PATH']}", "COLUMNS": "100", "LANG": "C.UTF-8"}


def matches(want: str, got: str) -> bool:
    """Return whether an output is the expected one. Spaces at the end of lines do not count."""
    tidy_want, tidy_got = (_tidy(text) for text in (want, got))
    return doctest.OutputChecker().check_output(tidy_want, tidy_got, doctest.ELLIPSIS)


def compare(want: str, got: str) -> str:
    lines = difflib.unified_diff(
        _tidy(want).splitlines(), _tidy(got).splitlines(), "expected", "printed", "", "", 9
    )
    return "\n".join(line.rstrip("\n") for line in lines)


def _tidy(text: str) -> str:
    lines = [line.rstrip() for line in text.rstrip().splitlines()]
    return "".join(f"{line}\n" for line in lines)
