"""argv -> command -> exit code. Only the module of the requested command is imported."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import traceback
from collections.abc import Collection, Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from semilla import __version__
from semilla.commands import COMMANDS
from semilla.errors import (
    EXIT_CODES,
    PHASES,
    RETRYABLE,
    DependencyError,
    InternalError,
    InterruptedRunError,
    InvalidConfigError,
    SemillaError,
    refuse_lost_directory,
    translate_error,
)
from semilla.spelling import hint_name, suggest_name
from semilla.system.processor import lacks_core_instructions, read_processor_name
from semilla.system.ranks import write_launch
from semilla.terminal.console import abandon_output, prepare_stream, print_error

WORDINGS = (
    (r"(?<![\w-])-\w/(?=--)", ""),  # the short form of a flag
    (r"^argument (--\S+?)/(--no-\S+): ignored explicit argument (.*)", r"\1 takes no value; write \1 or \2"),
    (r"ignored explicit argument (.*)", r"it takes no value, and \1 was given"),
    (r"invalid int value: (.*)", r"\1 is not a whole number"),
    (r"invalid float value: (.*)", r"\1 is not a number"),
    (r"the following arguments are required: (.*)", r"\1 is missing"),
)
"""Messages of argparse, and what to say instead."""
ONE_DASH = re.compile(r"-[a-zA-Z][a-zA-Z_-]")
"""A long flag with one dash. A value may follow a short flag only after a space, ``=``, or as a number: ``-n5``."""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows an option's value once, and without brackets: argparse need not report a missing value, because we do."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        text = super()._format_args(action, default_metavar)
        return text.strip("[]") if action.option_strings else text


class Parser(argparse.ArgumentParser):
    """An argument parser that raises our errors and allows no abbreviations."""

    def __init__(self, *, epilog: str = "semilla --help lists the exit codes.", **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, epilog=epilog, **kwargs)

    def error(self, message: str) -> NoReturn:
        for pattern, wording in WORDINGS:
            message = re.sub(pattern, wording, message)
        raise InvalidConfigError(message, next_command=f"{self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            near = get_close_matches(str(value), choices, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise argparse.ArgumentError(action, f"{value!r} is not one of {', '.join(choices)}{hint}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, after two corrections of what argparse would misunderstand.

        ``--seed -1e3`` becomes ``--seed=-1e3``: it would be an unknown flag. ``-seed 3`` is unknown, with its value: it
        would be ``-s eed``.
        """
        joined: list[str] = []
        unknown: list[str] = []
        is_value_of_unknown = False
        for word in args or []:
            last = joined[-1] if joined else ""
            takes_value = isinstance(self._option_string_actions.get(last), argparse._StoreAction)
            has_dash = word.startswith("-") and not word.startswith("--") and word not in {"-", "-h"}
            if "--" in joined:
                joined += (
                    [word] if word != "--" else []
                )  # argparse would take a second one for a missing word
            elif takes_value and has_dash:
                joined[-1] = f"{last}={word}"
            elif ONE_DASH.match(word) or (is_value_of_unknown and not word.startswith("-")):
                unknown.append(word)
                is_value_of_unknown = has_dash and "=" not in word
                continue
            else:
                joined.append(word)
            is_value_of_unknown = False
        parsed, others = super().parse_known_args(joined, namespace)
        return parsed, [*unknown, *others]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code, always one of ``EXIT_CODES``."""
    words = list(sys.argv[1:] if argv is None else argv)
    _prepare_streams()
    try:
        code = dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_output()
        return 0
    except (Exception, KeyboardInterrupt, SystemExit) as problem:
        if isinstance(problem, SystemExit) and not problem.code:
            return 0
        return _report(problem, words)
    assert code in EXIT_CODES
    return code


def dispatch(words: list[str]) -> int:
    """Parse the words and run the command they name."""
    # The program's own options take no value, so the first word without a dash is the command.
    index = next((index for index, word in enumerate(words) if not word.startswith("-")), len(words))
    parser = build_program_parser()
    _refuse_unknown(parser.parse_known_args(words[:index])[1], parser=parser)
    if index == len(words):
        parser.print_help()
        return 0
    name = words[index]
    if name not in COMMANDS:
        near = suggest_name(name, [*COMMANDS, "--help", "--version"])
        hint = f"; did you mean {near}?" if near else ""
        command = f"semilla {near} --help" if near in COMMANDS else f"semilla {near or '--help'}"
        raise InvalidConfigError(f"there is no command {name!r}{hint}", next_command=command)
    if name != "guide":
        refuse_lost_directory()
        refuse_old_processor()
    parser = build_parser(name)
    arguments, unknown = parser.parse_known_args(words[index + 1 :])
    arguments.unknown = unknown
    if not getattr(arguments, "collects_unknown", False):
        _refuse_unknown(unknown, parser=parser)
    return int(import_module(COMMANDS[name][0]).run(arguments))


def refuse_old_processor() -> None:
    """Raise DependencyError where NumPy would end the process with "Illegal instruction" while it is imported."""
    if lacks_core_instructions():
        raise DependencyError(f"{read_processor_name()} has no SSE4.2, which NumPy and ONNX Runtime need")


def build_program_parser() -> Parser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, (_, line) in COMMANDS.items()]
    parser = Parser(
        prog="semilla",
        usage="semilla [--version] [--debug] COMMAND ...",
        description="\n".join(["Grow a small language model from a seed of text.", "", "commands:", *lines]),
        epilog=describe_exit_codes(),
    )
    parser.add_argument("-V", "--version", action="version", version=f"semilla {__version__}")
    add_debug(parser)
    return parser


def build_parser(name: str) -> Parser:
    """Build the parser of one command, importing its module."""
    command = import_module(COMMANDS[name][0])
    parser = Parser(prog=f"semilla {name}", description=command.HELP)
    command.add_arguments(parser)
    add_debug(parser)
    # argparse's own usage line would repeat every flag.
    words = [action.metavar or action.dest.upper() for action in parser._get_positional_actions()]
    parser.usage = " ".join([parser.prog, *map(str, words), "[options]"])
    return parser


def add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def describe_exit_codes() -> str:
    return "exit codes:\n" + "\n".join(f"  {code:>3}  {text}" for code, text in EXIT_CODES.items())


def _refuse_unknown(words: list[str], *, parser: Parser) -> None:
    if not words:
        return
    word = next((word for word in words if word.startswith("-")), words[0])
    flag, command = word.partition("=")[0], parser.prog.removeprefix("semilla").strip()
    owners = [name for name in COMMANDS if word.startswith("--") and flag in _list_flags(name)]
    hint = (
        f"; it belongs to semilla {owners[0]}" if owners else hint_name(flag, parser._option_string_actions)
    )
    if command and not owners and not word.startswith("-"):
        takes_text = command in {"generate", "tokenize"}
        hint = "; quote a text of several words" if takes_text else "; it is one word too many"
    parser.error(f"unknown argument {word!r}{hint}")


def _list_flags(command: str) -> Collection[str]:
    return build_parser(command)._option_string_actions


def _prepare_streams() -> None:
    """Make printing safe: a closed stream becomes /dev/null, and unsupported characters are replaced."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        else:
            prepare_stream(stream)


def _report(problem: BaseException, words: list[str]) -> int:
    error = translate_error(problem, path="standard output")
    command = next((word for word in words if word in COMMANDS), "semilla")
    if isinstance(error, DependencyError) and command in {"run", "check"}:
        error.phase = error.phase or PHASES[0]  # not even the prerequisite check could be imported
    error.next_command = write_launch(choose_next_command(error, command=command, words=words))
    with suppress(OSError, ValueError):
        if "--debug" in words:
            traceback.print_exception(problem)
        print_error(error, command=command)
    return error.status


def choose_next_command(error: SemillaError, *, command: str, words: Sequence[str]) -> str:
    """Choose the command to try next: the one the error names, or a suggestion, but never the one that failed.

    Only what was interrupted is repeated as it was.
    """
    found = error.next_command or suggest_command(error, command=command, words=words)
    suggested = shlex.split(found)[1:]
    shows_more = "--debug" in suggested and "--debug" not in words
    is_new = shows_more or describe_action(suggested) != describe_action(words)
    if not (is_new or isinstance(error, InterruptedRunError)):
        return f"semilla guide {error.category}"
    return f"{found}{repeat_directory(suggested, words)}"


def repeat_directory(suggested: Sequence[str], words: Sequence[str]) -> str:
    """The flag that makes a suggested run write where the failed one did, not into the default directory."""
    there, here = describe_action(suggested), describe_action(words)
    if not isinstance(there, tuple) or not isinstance(here, tuple):
        return ""
    directory = here[0].output_directory
    names_one = any(re.match(r"(-o|--output-dir)(=|$)", word) for word in suggested)
    is_same = names_one or there[0].output_directory == directory
    return "" if is_same else f" --output-dir {shlex.quote(directory)}"


def describe_action(words: Sequence[str]) -> object:
    """What a command line does; equal for two ways to write the same command."""
    kept = [word for word in words if word != "--debug"]
    if kept[:1] == ["run"] and not {"-h", "--help"} & {*kept}:
        # A line that cannot be read, or read again, is compared word by word.
        with suppress(Exception):
            from semilla.configuration.flags import load_arguments  # noqa: PLC0415 - only after an error

            arguments, unknown = build_parser("run").parse_known_args(kept[1:])
            arguments.unknown = unknown
            config = load_arguments(arguments).config
            directory = str(Path(config.output_directory))  # the default is "./data/"
            return config.model_copy(update={"output_directory": directory}), arguments.resume_from_checkpoint
    return sorted(part for word in kept for part in word.split("=", 1))


def suggest_command(error: SemillaError, *, command: str, words: Sequence[str]) -> str:
    """Choose the command to try next when the error does not name one."""
    again = shlex.join(["semilla", *words])
    if isinstance(error, InvalidConfigError):
        return f"semilla {command} --help" if command in COMMANDS else "semilla --help"
    if isinstance(error, InternalError):
        return again if "--debug" in words else f"{again} --debug"
    if error.category not in RETRYABLE:
        return f"semilla guide {error.category}"
    if command == "run":
        kept = [word for word in words if word not in {"--resume", "--no-resume"}]
        return shlex.join(["semilla", *kept, "--resume"])
    return again
