"""A long page is shown in a pager, but only on a terminal."""

from __future__ import annotations

import io
import shlex
import sys
from contextlib import redirect_stdout

import pytest

from semilla.terminal import pager
from semilla.terminal.console import print_text
from semilla.terminal.pager import find_pager, page_output

COPY = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
"""A pager that writes what it gets to a file."""


class Terminal(io.StringIO):
    """An output that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


def show(monkeypatch, num_lines: int, *, lines: int = 10) -> list[str]:
    """Print lines on a terminal of ``lines`` lines; return what is on the screen."""
    screen = Terminal()
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setattr(sys, "stdin", Terminal())
    with redirect_stdout(screen), page_output():
        print_text("\n".join(f"línea {number}" for number in range(num_lines)))
    return screen.getvalue().splitlines()


def test_a_long_text_goes_to_the_pager(monkeypatch, tmp_path):
    """PAGER names the program, with its arguments."""
    seen = tmp_path / "seen"
    monkeypatch.setenv("PAGER", shlex.join([sys.executable, "-c", COPY, str(seen)]))
    assert show(monkeypatch, 20) == []
    assert seen.read_text(encoding="utf-8").splitlines() == [f"línea {number}" for number in range(20)]


def test_a_short_text_is_printed(monkeypatch):
    """What fits the screen needs no pager."""
    monkeypatch.setenv("PAGER", shlex.join([sys.executable, "-c", "raise SystemExit(1)"]))
    assert len(show(monkeypatch, 5)) == 5


@pytest.mark.parametrize("name", ["", "cat", "no-such-pager"])
def test_without_a_pager_the_text_is_printed(monkeypatch, name):
    """An empty PAGER, cat, and a program that is not installed mean none."""
    monkeypatch.setenv("PAGER", name)
    assert find_pager() == []
    assert len(show(monkeypatch, 20)) == 20


def test_a_pipe_gets_the_text(capsys, monkeypatch):
    """Without a terminal nothing is paged."""
    monkeypatch.setenv("PAGER", shlex.join([sys.executable, "-c", "raise SystemExit(1)"]))
    with page_output():
        print_text("a\n" * 200)
    assert len(capsys.readouterr().out.splitlines()) > 200 - 1


def test_a_pager_that_cannot_start_is_not_an_error(capsys, monkeypatch, tmp_path):
    """The text is printed instead."""
    monkeypatch.setenv("LINES", "10")
    pager.show("a\n" * 20, [str(tmp_path)])
    assert len(capsys.readouterr().out.splitlines()) == 20


def test_a_reader_may_leave_before_the_end(monkeypatch):
    """A pager that ends early is no error."""
    monkeypatch.setenv("PAGER", shlex.join([sys.executable, "-c", ""]))
    assert show(monkeypatch, 200_000) == []
