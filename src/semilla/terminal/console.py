"""Plain text on the terminal: the four lines of an error, questions, and safe output."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from semilla.errors import InvalidConfigError, SemillaError
from semilla.escape import escape_controls, redact_credentials
from semilla.installation import write_command


def print_error(error: SemillaError, *, command: str, stream: TextIO | None = None) -> None:
    """Print the four lines of an error: what happened, what is kept, what to do next, where to read more."""
    where = error.phase or command
    help_command = f"semilla guide {error.category}"
    lines = [
        f"error[{error.category}] {where}: {describe_cause(error)}",
        f"kept: {error.kept or _describe_kept(error)}",
        f"next: {write_command(error.next_command or help_command)}",
        f"help: {write_command(help_command)}",
    ]
    target = stream or sys.stderr
    target.write("".join(_contain(redact_credentials(line)) + "\n" for line in lines))
    target.flush()


def describe_cause(error: SemillaError) -> str:
    """Describe the cause. A single mistake in a configuration is the cause itself."""
    if isinstance(error, InvalidConfigError) and len(error.mistakes) == 1:
        return str(error.mistakes[0])
    return error.message


SUBSTITUTES = str.maketrans("“”„«»‘’—–…→•●◐○◌✗▁▂▃▄▅▆▇█┤│└─", '"""""\'\'--.>*#+o-x_.:-=+*#||+-')  # noqa: RUF001 - replacements
"""Characters that old code pages lack. Each becomes one character, so that columns stay aligned."""


def prepare_stream(stream: TextIO) -> None:
    """Let a stream take any text: a character that its encoding lacks is replaced by a similar one or escaped."""
    codecs.register_error("semilla", _replace_unencodable)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="semilla")


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(SUBSTITUTES)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def print_text(text: str) -> None:
    """Print text that may come from outside; control characters are made visible."""
    sys.stdout.write(escape_controls(text) + "\n")


def print_json(content: object) -> None:
    """Print a value as indented JSON: UTF-8, which programs expect, or ASCII where the output has another encoding."""
    is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    print_text(json.dumps(content, ensure_ascii=not is_utf8, indent=2))


def abandon_output() -> None:
    """Redirect standard output to nowhere once its reader is gone; else Python's last flush gives exit code 120."""
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def is_interactive() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


ANSWERS = {"y": True, "yes": True, "s": True, "sí": True, "si": True, "n": False, "no": False}


def ask(question: str, *, default: bool = False) -> bool:
    """Ask a yes-or-no question until it is answered. Enter and the end of input mean ``default``."""
    while True:
        try:
            answer = input(f"{escape_controls(question)} [{'Y/n' if default else 'y/N'}] ").strip().lower()
        except EOFError:
            sys.stdout.write("\n")
            return default
        if not answer:
            return default
        if answer in ANSWERS:
            return ANSWERS[answer]
        print_text("Please answer yes or no.")


def fold_lines(text: str) -> str:
    """Put a text from outside on one line, with slashes for line breaks."""
    lines = escape_controls(text.replace("\t", " ")).split("\n")
    return " / ".join(line.strip() for line in lines if line.strip())


def _describe_kept(error: SemillaError) -> str:
    if isinstance(error, InvalidConfigError):
        return "nothing was started or changed"
    return "every complete file; files are written whole or not at all"


def _contain(line: str) -> str:
    """Indent all lines but the first, so that text from outside cannot pose as one of the four lines."""
    first, *rest = escape_controls(line).splitlines() or [""]
    return "\n".join([first, *("  " + one.strip() for one in rest)])
