"""The same trials through the command line: ``semilla run`` in a fresh interpreter, followed by its output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from semilla.errors import PHASES
from torture.forks import ForkedRun
from torture.lab import Lab
from torture.warm import ColdPopen
from torture.workload import list_words


class CommandRun(ForkedRun):
    """A run followed by the lines of its terminal output, such as ``[2/5] corpus_download: done (0.5 s)``."""

    def understand(self, line: bytes) -> None:
        text, now_s = line.decode("utf-8", "replace"), time.monotonic()
        if match := re.match(r"\[(\d)/5\] (\w+): ", text):
            self.note("finished", now_s, match[2])
            if int(match[1]) < len(PHASES):
                self.note("phase", now_s, PHASES[int(match[1])])
        elif text.startswith("error["):
            self.note("error", now_s, text)


class CommandLab(Lab):
    """Starts every run as a user does."""

    def start(self, directory: Path, **_: Any) -> CommandRun:
        reading, writing = os.pipe()
        command = [sys.executable, "-P", "-m", "semilla", *list_words(self.configure(directory)), "--resume"]
        child = ColdPopen(
            command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, start_new_session=True
        )
        os.close(writing)
        child.returncode = 0  # the run below waits for it
        run = CommandRun(child.pid, reading)
        run.note("phase", time.monotonic(), PHASES[0])
        return run
