"""Consoles with old code pages: missing characters are replaced by similar ones, and nothing fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from semilla.terminal.console import SUBSTITUTES

SAMPLE = "“Había — ¿sí? … ▁▂▃█ ● → 🌱”"
PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from semilla.terminal.console import prepare_stream, print_text
from semilla.terminal.plain_progress import PlainProgress
from run_events import send_run_events
prepare_stream(sys.stdout)
print_text({SAMPLE!r})
send_run_events(PlainProgress())
"""


def run_with(encoding: str) -> str:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, env=environment, check=True, timeout=120
    )
    return done.stdout.decode(encoding).replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", SAMPLE),
        ("cp1252", r"“Había — ¿sí? … _.:# # > \U0001f331”"),
        ("cp437", r'"Había - ¿sí? . _.:█ # > \U0001f331"'),
        ("cp850", r'"Había - ¿sí? . _.:█ # > \U0001f331"'),
        ("ascii", r'"Hab\xeda - \xbfs\xed? . _.:# # > \U0001f331"'),
    ],
)
def test_each_console_shows_what_it_can(encoding: str, text: str) -> None:
    """Characters of the code page stay, others become similar ones, and those without a similar one are escaped."""
    lines = run_with(encoding).splitlines()
    assert lines[0] == text
    assert lines[-1] == "[5/5] validation: done (1 min 05 s)"


def test_substitutes_take_as_much_room() -> None:
    """One character replaces one, so columns stay aligned and the live display keeps its lines."""
    assert all(len(chr(code)) == 1 and chr(code).isascii() for code in SUBSTITUTES.values())
