"""Progress as plain lines and as a live display."""

from __future__ import annotations

import io
import math
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_events import send_run_events

from semilla.errors import PHASES
from semilla.events import Note
from semilla.formatting import draw_sparkline, format_duration
from semilla.terminal.plain_progress import PlainProgress

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_plain_progress_is_a_line_per_phase_epoch_and_warning(capsys):
    """Phases, epochs, warnings and finished downloads have one line each, and nothing else has one."""
    send_run_events(PlainProgress())
    assert capsys.readouterr().out.splitlines() == [
        "[1/5] prerequisite_check: done (1 min 05 s)",
        "downloaded pg11.txt: 1.0 MB",
        "warning: el libro cambió\\u001b[31m / next: rm (semilla guide corpus_drift)",
        "[2/5] corpus_download: done (1 min 05 s)",
        "[3/5] tokenizer_training: reused",
        "epoch 1: training loss 4.500, validation loss 4.750 (best), 1.625 bits per byte, 21,234 tokens/s",
        "[4/5] model_training: done (1 min 05 s)",
        "[5/5] validation: done (1 min 05 s)",
    ]


@given(st.text(max_size=40))
def test_text_from_outside_stays_on_its_line(text):
    """The text of a note cannot write a control character or start a new line."""
    stream, original = io.StringIO(), sys.stdout
    sys.stdout = stream
    try:
        PlainProgress()(Note(text))
    finally:
        sys.stdout = original
    line, rest = stream.getvalue().split("\n", 1)
    assert line.startswith("note:")
    assert rest == ""
    assert not UNSAFE.search(line)


class BrokenStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_reader_that_left_does_not_stop_the_run(monkeypatch):
    """Progress that cannot be written is dropped silently."""
    monkeypatch.setattr(sys, "stdout", BrokenStream())
    send_run_events(PlainProgress())


PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from run_events import send_run_events
from semilla.terminal.progress import show_progress
with show_progress(title="mío") as progress:
    send_run_events(progress)
"""


def run_on_terminal(*, columns: int = 100, **environment: str) -> str:
    """Run the small run on its own pseudo-terminal and return what it drew."""
    leader, follower = pty.openpty()
    values = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40", **environment}
    values.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
    import fcntl
    import struct
    import termios

    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=follower, stderr=follower, env=values
    ) as process:
        os.close(follower)
        drawn = bytearray()
        while True:
            try:
                data = os.read(leader, 65536)
            except OSError:  # how Linux says that the last writer is gone
                break
            if not data:
                break
            drawn += data
        assert process.wait() == 0
    os.close(leader)
    return drawn.decode()


def test_a_terminal_gets_the_live_display():
    """On a terminal the phases are drawn in place, with bar, loss and samples; text from outside is harmless."""
    drawn = run_on_terminal()
    assert "\x1b[" in drawn
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn.rsplit("semilla", 1)[1])
    for phase in PHASES:
        assert phase in last
    assert "“Once / upon”" in last
    assert "\\u001b]0;título\\u0007" in last
    assert "\x07" not in drawn
    assert "\x1b]" not in drawn


@pytest.mark.parametrize(("columns", "environment"), [(100, {"TERM": "dumb"}), (20, {"TERM": "xterm"})])
def test_simple_terminals_get_plain_lines(columns, environment):
    """A dumb or narrow terminal gets no control codes."""
    drawn = run_on_terminal(columns=columns, **environment).replace("\r\n", "\n")
    assert not UNSAFE.search(drawn)
    assert drawn.splitlines()[0] == "[1/5] prerequisite_check: done (1 min 05 s)"


def test_no_color_removes_the_colours_only():
    """The display is drawn in place as usual, without any code for a colour."""
    drawn = run_on_terminal(NO_COLOR="1")
    assert "\x1b[?25l" in drawn
    assert "model_training" in drawn
    codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", drawn) for code in codes.split(";")}
    assert codes <= {"", "0", "1", "2", "3"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (-1, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_are_worded(seconds, text):
    """Durations are written as people say them, also at the borders between units."""
    assert format_duration(seconds) == text


@given(st.lists(st.floats(0, 20), max_size=300), st.integers(0, 50))
def test_sparklines_fit_their_width(values, width):
    """A sparkline has a bar per value, or per column when there are more values."""
    line = draw_sparkline(values, width=width)
    assert len(line) == min(len(values), width)
    assert set(line) <= set("▁▂▃▄▅▆▇█")


def test_sparkline_falls_with_the_loss():
    """A falling loss is a falling line from the highest bar to the lowest."""
    line = draw_sparkline([9 * math.exp(-step / 100) for step in range(400)], width=20)
    assert (line[0], line[-1]) == ("█", "▁")
    assert list(line) == sorted(line, reverse=True)


INTERRUPTED = """
import os, signal, sys, time
from semilla.system import interrupts
from semilla.terminal.progress import show_progress
with show_progress(title="mío", form=sys.argv[1]), interrupts.catch_signals():
    os.kill(os.getpid(), signal.SIGINT)
    assert interrupts.requested()
"""


@pytest.mark.parametrize("form", ["plain", "json"])
def test_ctrl_c_is_acknowledged_at_once(form):
    """On standard error, from the signal handler itself, so that standard output stays as it was."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, form], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == "stopping: the progress is saved first; Ctrl-C again exits at once\n"
    assert done.stdout == ""


def test_the_live_display_acknowledges_ctrl_c(monkeypatch):
    """The next drawing, half a second later at most, has it as its last line."""
    from rich.console import Console

    from semilla.system import interrupts
    from semilla.terminal.live_progress import LiveProgress

    progress = LiveProgress(title="mío")
    console = Console(width=100, color_system=None)
    monkeypatch.setattr(interrupts, "_requested", 2)
    with console.capture() as capture:
        console.print(progress.draw())
    assert capture.get().strip().splitlines()[-1].strip().startswith("stopping: ")
