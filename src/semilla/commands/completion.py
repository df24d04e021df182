"""``semilla completion``: print a script that completes commands, flags and values in a shell.

shtab writes the whole script from the parsers, so pressing Tab does not start Python.
"""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from typing import Any

from semilla.commands import COMMANDS
from semilla.configuration.flags import show_everything
from semilla.terminal.console import print_text

HELP = """Print a script that completes semilla's commands, flags and values. To load it in the current shell:
  bash  source <(semilla completion bash)
  zsh   source <(semilla completion zsh)
  fish  semilla completion fish | source
To keep it, write it to ~/.local/share/bash-completion/completions/semilla, to _semilla in a folder of $fpath, or to
~/.config/fish/completions/semilla.fish."""

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS), help="the shell to write it for")


def run(arguments: argparse.Namespace) -> int:
    print_text(write_script(arguments.shell))
    return 0


def write_script(shell: str) -> str:
    import shtab  # noqa: PLC0415 - only this command needs it

    script = shtab.complete(build_parser(), shell).rstrip("\n")
    # shtab's zsh script registers itself when loaded with eval; with source it must do the same.
    return script.replace("$zsh_eval_context[-1] == eval", "$zsh_eval_context[-1] == (eval|file)")


def build_parser() -> argparse.ArgumentParser:
    """Build one parser of every command; the program itself builds only the parser of the command it runs."""
    parser = argparse.ArgumentParser(prog="semilla")
    parser.add_argument("--version", action="version", help="show the version")
    commands = parser.add_subparsers()
    for name, (module, line) in COMMANDS.items():
        command = commands.add_parser(name, help=line)
        import_module(module).add_arguments(command)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        show_everything(command)
        for action in command._actions:
            _prepare(action)
    return parser


def _prepare(action: Any) -> None:
    """Tell shtab which values may follow, and cut the help to its first sentence: a menu has one line for it."""
    import shtab  # noqa: PLC0415

    action.help = re.split(r"(?<=\w)[.;:]|\s[\[(]", action.help)[0]
    metavar = str(action.metavar)
    if listed := re.fullmatch(r"\{([^}]+)\}", metavar):
        action.choices = listed[1].split(",")
    elif metavar == "DIR" or action.dest.endswith("_directory"):
        action.complete = shtab.DIRECTORY
    elif metavar in {"FILE", "PATH"} or action.dest == "corpus_source":
        action.complete = shtab.FILE
