"""Shows a text while it is generated: after its prompt, wrapped between words on a terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from semilla.escape import escape_controls
from semilla.terminal.wrapping import LineWrapper

if TYPE_CHECKING:
    from semilla.runtime.streams import TextStream


def show_text(stream: TextStream, *, prompt: str) -> None:
    """Print the prompt and each piece as soon as it is generated, then on standard error the seed and how it ended.

    In a file the text is exact, direction marks included; only other control characters are escaped.
    """
    is_terminal = sys.stdout.isatty()
    wrapper = LineWrapper(shutil.get_terminal_size().columns) if is_terminal else None

    def write(text: str) -> None:
        safe = escape_controls(text, keeps_marks=not is_terminal)
        sys.stdout.write(wrapper.push(safe) if wrapper else safe)
        sys.stdout.flush()

    try:
        write(prompt)
        for piece in stream:
            write(piece)
    finally:
        sys.stdout.write(f"{wrapper.finish() if wrapper else ''}\n")
        sys.stdout.flush()
        sys.stderr.write(f"seed: {stream.seed}{f', ended {stream.ending}' if stream.ended else ''}\n")
        sys.stderr.flush()
