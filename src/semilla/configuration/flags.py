"""The settings as command-line flags. Values stay text here, so that all mistakes can be reported together."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Collection
from typing import Any

from semilla.configuration.loading import NO_VALUE, LoadedConfiguration, load_configuration
from semilla.configuration.settings import Setting, list_settings
from semilla.spelling import DASHES
from semilla.system.paths import read_path

SHORT_FLAGS = {"corpus_source": "-i", "output_directory": "-o", "num_epochs": "-e", "seed": "-s"}

FREQUENT = {
    "corpus_source", "corpus_size_mb", "tokenizer_vocab_size", "output_directory", "resume_from_checkpoint", "seed",
    "device", "num_layers", "d_model", "num_heads", "batch_size", "learning_rate", "num_epochs", "max_sequence_length",
    "dropout", "num_threads", "minutes", "start_from",
}  # fmt: skip
"""The settings that ``--help`` shows; ``--help-all`` shows every one."""

BRIEF_HELP = {
    "corpus_source": "Training text: a file, a folder, a URL, gutenberg or sample",
    "dropout": "Dropout probability at the end",
}
"""What ``--help`` says where the first clause of the full text is not enough."""

GROUPS: dict[str, tuple[str, ...]] = {
    "text and tokenizer": (
        *("corpus_", "allow_partial", "text_column", "title_column", "layout", "dedupe", "repair"),
        *("tokenizer_", "trust_tokenizer"),
    ),
    "model architecture": (),
    "training hyperparameters": (),
    "validation": ("max_validation_loss", "strict"),
    "run": (),
}
"""Heading in the help -> how the names of its settings begin. Groups of the configuration have their own headings."""


def add_settings(parser: argparse.ArgumentParser, *, only: Collection[str] | None = None) -> None:
    """Add ``--config`` and a flag per setting, in groups; with ``only``, just those flags."""
    settings = [one for one in list_settings().values() if only is None or one.name in only]
    if only is None:
        help_text = "TOML file with settings; flags and environment variables override it"
        parser.add_argument("--config", type=read_path, metavar="FILE", help=help_text)
        help_text = f"show all {len(settings)} settings, with their ranges"
        parser.add_argument("--help-all", action=_ShowEverything, nargs=0, help=help_text)
    for heading in GROUPS:
        section = parser.add_argument_group(heading)
        for setting in settings:
            if name_group(setting) == heading:
                _add_flag(section, setting, is_brief=only is None)
    parser.set_defaults(collects_unknown=True)


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the settings, and the texts as plain words, which ``load_arguments`` takes for ``--corpus-source``."""
    add_settings(parser)
    parser.add_argument("source", metavar="SOURCE", nargs="*", help="the texts, as for --corpus-source")


def name_group(setting: Setting) -> str:
    if setting.group:
        return setting.group.replace("_", " ")
    return next((heading for heading, names in GROUPS.items() if setting.name.startswith(names)), "run")


def show_everything(parser: argparse.ArgumentParser) -> None:
    """Let ``parser`` describe every setting in full in its help."""
    for action in parser._actions:
        action.help = getattr(action, "whole_help", action.help)


class _ShowEverything(argparse.Action):
    """Prints the whole help and ends the program, as ``--help`` does with its short form."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        show_everything(parser)
        parser.print_help()
        parser.exit()


def load_arguments(arguments: argparse.Namespace, **changes: str) -> LoadedConfiguration:
    """Load the configuration from flags, ``os.environ`` and ``--config``; ``changes`` replace flags."""
    flags = {name: value for name, value in vars(arguments).items() if name in list_settings()}
    if isinstance(sources := flags.get("corpus_source"), list):
        flags["corpus_source"] = NO_VALUE if NO_VALUE in sources else "\n".join(sources)
    if sources := getattr(arguments, "source", []):
        changes["corpus_source"] = "\n".join(sources)
    given = {name: NO_VALUE if value == [] else value for name, value in flags.items() if value is not None}
    return load_configuration(
        flags={**given, **changes, **_pair_unknown(arguments.unknown)},
        environment=os.environ,
        file=getattr(arguments, "config", None),
    )


def _add_flag(section: Any, setting: Setting, *, is_brief: bool) -> None:
    options: dict[str, Any]
    if setting.kind == "boolean":
        options = {"action": argparse.BooleanOptionalAction, "default": None}
    elif setting.kind == "array":
        options = {"metavar": "ITEM", "nargs": "*", "action": "extend"}
    else:
        placeholder = {"integer": "N", "number": "X", "string": "TEXT"}[setting.kind]
        choices = "{" + ",".join(setting.choices) + "}"
        options = {"metavar": choices if setting.choices else placeholder, "nargs": "?", "const": NO_VALUE}
    if setting.name == "corpus_source":
        options["action"] = "append"
    flags = [*filter(None, [SHORT_FLAGS.get(setting.name)]), setting.flag]
    action = section.add_argument(*flags, dest=setting.name, **options)
    # BooleanOptionalAction would change a help text that is passed to it.
    action.help = action.whole_help = _describe(setting)
    if is_brief:
        action.help = _describe_briefly(setting) if setting.name in FREQUENT else argparse.SUPPRESS


def _describe(setting: Setting) -> str:
    """Write a flag's help: its meaning, range and default."""
    # The placeholder of a single value already shows its choices.
    has_range = setting.kind in {"integer", "number", "array"}
    text = f"{setting.help} [{setting.allowed + '; ' if has_range else ''}default: {_show_default(setting)}]"
    return text.replace("%", "%%")  # argparse expands a lone %


def _describe_briefly(setting: Setting) -> str:
    """Write the first clause of a flag's help, and its default."""
    clause = BRIEF_HELP.get(setting.name) or re.split(r"(?<=\w)[.;:]|, and |, for ", setting.help)[0]
    return f"{clause} [{_show_default(setting)}]".replace("%", "%%")


def _show_default(setting: Setting) -> Any:
    if setting.kind == "boolean":
        return "yes" if setting.default else "no"
    return " ".join(setting.default) or "none" if setting.kind == "array" else setting.default


def _pair_unknown(words: list[str]) -> dict[str, Any]:
    """Pair each unknown flag with the word after it, so that one mistake is reported once."""
    unknown: dict[str, Any] = {}
    last = None
    for word in words:
        if word.startswith(tuple(DASHES)) and word != "--":
            last, has_value, value = word.partition("=")
            unknown[last] = value if has_value else NO_VALUE
        elif last is not None and unknown[last] is NO_VALUE:
            unknown[last] = word
        elif word != "--":
            unknown[word] = NO_VALUE
    return unknown
