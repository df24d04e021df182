"""``semilla completion``: what a shell needs to complete commands, flags and values when Tab is pressed."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from importlib import import_module

from semilla.commands import COMMANDS
from semilla.terminal.console import print_text

HELP = """Print a script that completes semilla's commands, flags and values. Load it in the present shell:
  bash  source <(semilla completion bash)
  zsh   source <(semilla completion zsh)
  fish  semilla completion fish | source
To keep it, write it to ~/.local/share/bash-completion/completions/semilla, to _semilla in a folder of $fpath, or to
~/.config/fish/completions/semilla.fish."""

FILES, FOLDERS, NOTHING = "files", "folders", "nothing"


@dataclass(frozen=True)
class Option:
    """A flag: its spelling, its help, and what may follow it: None if nothing, else words, or a kind of place."""

    flag: str
    help: str
    values: tuple[str, ...] | str | None


@dataclass(frozen=True)
class Command:
    """A command: its flags, and what stands without one."""

    name: str
    help: str
    options: tuple[Option, ...]
    operands: tuple[str, ...] | str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(WRITERS), metavar="|".join(WRITERS), help="whose script")


def run(arguments: argparse.Namespace) -> int:
    print_text(WRITERS[arguments.shell](list_commands()).rstrip("\n"))
    return 0


def list_commands() -> list[Command]:
    """Every command with its flags, read from its parser."""
    return [describe_command(name, module, line) for name, (module, line) in COMMANDS.items()]


def describe_command(name: str, module: str, line: str) -> Command:
    parser = argparse.ArgumentParser(prog=name)
    import_module(module).add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = [
        Option(flag, describe_help(action), list_values(action))
        for action in parser._actions
        for flag in action.option_strings
        if flag.startswith("--")
    ]
    operands = [list_values(action) for action in parser._get_positional_actions()]
    return Command(name, line, tuple(options), next((one for one in operands if one), NOTHING))


def list_values(action: argparse.Action) -> tuple[str, ...] | str | None:
    """The words that may follow a flag, or the kind of file; None for a flag that stands alone."""
    if action.nargs == 0:
        return None
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices:
        return tuple(map(str, action.choices))
    if re.fullmatch(r"\{[^}]+\}", metavar):
        return tuple(metavar.strip("{}").split(","))
    if metavar == "DIR" or action.dest.endswith("_directory"):
        return FOLDERS
    return FILES if metavar in {"FILE", "PATH"} or action.dest == "corpus_source" else NOTHING


def describe_help(action: argparse.Action) -> str:
    """The first sentence of a flag's help, without what a shell would take for its own."""
    sentence = re.split(r"(?<=\w)[.;:\[(]", (action.help or "").replace("%%", "%"))[0]
    return re.sub(r"['\"`$\\\[\]]", "", sentence).strip()


# ---- bash

BASH = """# bash completion for semilla
_semilla() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "{names} --help --version" -- "$cur")
        return
    fi
    case "${{COMP_WORDS[1]}}:$prev" in
{values}
    esac
    case "$cur:${{COMP_WORDS[1]}}" in
{flags}
{operands}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -o filenames -F _semilla semilla
"""


def write_bash(commands: list[Command]) -> str:
    values = [
        f"        {command.name}:{option.flag}) {_answer_in_bash(option.values)}; return ;;"
        for command in commands
        for option in command.options
        if option.values is not None
    ]
    flags = [
        f'        -*:{command.name}) words="{" ".join(option.flag for option in command.options)} --help" ;;'
        for command in commands
    ]
    operands = [
        f"        *:{command.name}) {_answer_in_bash(command.operands)}; return ;;" for command in commands
    ]
    return BASH.format(
        names=" ".join(command.name for command in commands),
        values="\n".join(values),
        flags="\n".join(flags),
        operands="\n".join(operands),
    )


def _answer_in_bash(values: tuple[str, ...] | str) -> str:
    kinds = {FILES: "-f", FOLDERS: "-d", NOTHING: '-W ""'}
    how = kinds[values] if isinstance(values, str) else f'-W "{" ".join(values)}"'
    return f'mapfile -t COMPREPLY < <(compgen {how} -- "$cur")'


# ---- zsh

ZSH = """#compdef semilla
# zsh completion for semilla
_semilla() {{
    local -a commands
    commands=({names})
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{cases}
    esac
}}
if [ "$funcstack[1]" = _semilla ]; then _semilla "$@"; else compdef _semilla semilla; fi
"""


def write_zsh(commands: list[Command]) -> str:
    cases = []
    for command in commands:
        specs = [f"'{one.flag}[{one.help}]{_follow_in_zsh(one.values)}'" for one in command.options]
        operands = f"'*{_follow_in_zsh(command.operands)}'"
        cases.append(f"        {command.name}) _arguments {' '.join([*specs, operands])} ;;")
    names = " ".join(f"'{command.name}:{command.help}'" for command in commands)
    return ZSH.format(names=names, cases="\n".join(cases))


def _follow_in_zsh(values: tuple[str, ...] | str | None) -> str:
    if values is None:
        return ""
    kinds = {FILES: "_files", FOLDERS: "_files -/", NOTHING: " "}
    return f":value:{kinds[values] if isinstance(values, str) else '(' + ' '.join(values) + ')'}"


# ---- fish


def write_fish(commands: list[Command]) -> str:
    lines = ["# fish completion for semilla", "complete -c semilla -f"]
    for command in commands:
        first = f"complete -c semilla -n __fish_use_subcommand -a {command.name} -d '{command.help}'"
        here = f"complete -c semilla -n '__fish_seen_subcommand_from {command.name}'"
        lines += [first, *(f"{here} {_describe_in_fish(option)}" for option in command.options)]
        if command.operands != NOTHING:
            lines.append(f"{here} {_follow_in_fish(command.operands)}")
    return "\n".join(lines) + "\n"


def _describe_in_fish(option: Option) -> str:
    words = f"-l {option.flag.removeprefix('--')} -d '{option.help}'"
    return words if option.values is None else f"{words} -x {_follow_in_fish(option.values)}".rstrip()


def _follow_in_fish(values: tuple[str, ...] | str) -> str:
    kinds = {FILES: "-a '(__fish_complete_path)'", FOLDERS: "-a '(__fish_complete_directories)'", NOTHING: ""}
    return kinds[values] if isinstance(values, str) else f"-a '{' '.join(values)}'"


WRITERS = {"bash": write_bash, "zsh": write_zsh, "fish": write_fish}
