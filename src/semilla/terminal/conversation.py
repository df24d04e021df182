"""Prompts and texts in turn on a terminal: ``semilla generate --interactive``."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from semilla.errors import InvalidConfigError
from semilla.runtime.bundle import RANGES
from semilla.spelling import suggest_name
from semilla.terminal.console import describe_cause, print_text
from semilla.terminal.generated_text import show_text

if TYPE_CHECKING:
    from semilla.runtime.session import Model

EXITS = {"/exit", "/quit", "exit", "quit"}
SETTINGS = ("seed", *RANGES)
"""What ``/NAME VALUE`` changes, in the words of the flags."""


class Conversation:
    """Continues each line that is typed. Given a seed, the texts are those of ``seed``, ``seed + 1`` and so on."""

    def __init__(self, model: Model, *, seed: int | None, changes: dict[str, Any]) -> None:
        self.model = model
        self.seed = seed
        self.changes = changes

    def hold(self) -> None:
        """Read lines until the end of input (Ctrl-D) or ``/exit``. Ctrl-C ends a text, never the program."""
        with suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - gives input() line editing and history
        version = f" {self.model.bundle.version}" if self.model.bundle.version else ""
        print_text(
            f"Model{version} in {self.model.bundle.directory}. Type the beginning of a text and press Enter.\n"
            "Ctrl-C ends a text, /help lists commands, /exit or Ctrl-D ends the program."
        )
        while True:
            try:
                line = input("> ")
                if line.strip() in EXITS:
                    return
                self.answer(line)
            except KeyboardInterrupt:
                sys.stdout.write("\n")
            except EOFError:
                sys.stdout.write("\n")
                return
            except InvalidConfigError as error:
                print_text(describe_cause(error))

    def answer(self, line: str) -> None:
        """Obey a line that begins with a slash; continue any other."""
        if line.startswith("/"):
            self.obey(*line[1:].split(maxsplit=1))
            return
        line = self.model.open_word(line)
        stream = self.model.stream(line, seed=self.seed, **self.changes)
        if self.seed is not None:
            self.seed = (self.seed + 1) % 2**63
        show_text(stream, prompt=line)

    def obey(self, command: str = "help", value: str = "") -> None:
        """Show the help, or show or change a setting."""
        name = command.replace("-", "_").lower()
        if name == "help":
            self.help()
        elif name not in SETTINGS:
            near = suggest_name(command, ["help", "exit", *SETTINGS])
            hint = f"; did you mean /{near.replace('_', '-')}?" if near else ""
            raise InvalidConfigError(f"there is no /{command}{hint}")
        else:
            if value:
                self.change(name, value)
            print_text(f"{name} = {self.describe(name)}")

    def help(self) -> None:
        rows = [("/help", "this list"), ("/exit", "end the program, like Ctrl-D")]
        rows += [("/seed N", "seed of the next text, then counted up; or random")]
        rows += [(f"/{name.replace('_', '-')} X", allowed) for name, (_, _, allowed) in RANGES.items()]
        for command, meaning in rows:
            print_text(f"  {command:<21}  {meaning}")
        print_text("Without a value, a setting is shown. Any other line is continued.")

    def change(self, name: str, value: str) -> None:
        """Change a setting; raises InvalidConfigError for a value that it cannot have."""
        if name == "seed" and value == "random":
            self.seed = None
            return
        kind = (
            float if name != "seed" and isinstance(getattr(self.model.bundle.settings, name), float) else int
        )
        try:
            number = kind(value)
        except ValueError:
            raise InvalidConfigError(
                f"{value!r} is not a {'number' if kind is float else 'whole number'}"
            ) from None
        if name == "seed":
            if not 0 <= number < 2**63:
                raise InvalidConfigError("seed must be 0 to 2**63 - 1")
            self.seed = int(number)
            return
        self.model.bundle.settings.change(**{**self.changes, name: number})
        self.changes[name] = number

    def describe(self, name: str) -> str:
        if name == "seed":
            return "random" if self.seed is None else str(self.seed)
        return str(getattr(self.model.bundle.settings.change(**self.changes), name))
