"""The settings as command-line flags. Values stay text here, so that all mistakes can be reported together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from typing import Any

from semilla.configuration.loading import NO_VALUE, LoadedConfiguration, load_configuration
from semilla.configuration.settings import Setting, list_settings
from semilla.spelling import DASHES
from semilla.system.paths import read_path


def add_settings(parser: argparse.ArgumentParser, *, only: Collection[str] | None = None) -> None:
    """Add ``--config`` and a flag per setting, grouped like the configuration; with ``only``, just those flags."""
    if only is None:
        help_text = "TOML file with settings; flags and environment variables override it"
        parser.add_argument("--config", type=read_path, metavar="FILE", help=help_text)
    sections: dict[str | None, Any] = {}
    for setting in list_settings().values():
        if only is None or setting.name in only:
            if setting.group not in sections:
                title = (setting.group or "settings").replace("_", " ")
                sections[setting.group] = parser.add_argument_group(title)
            _add_flag(sections[setting.group], setting)
    parser.set_defaults(collects_unknown=True)


def load_arguments(arguments: argparse.Namespace, **changes: str) -> LoadedConfiguration:
    """Load the configuration from flags, ``os.environ`` and ``--config``; ``changes`` replace flags."""
    flags = {name: value for name, value in vars(arguments).items() if name in list_settings()}
    given = {name: NO_VALUE if value == [] else value for name, value in flags.items() if value is not None}
    return load_configuration(
        flags={**given, **changes, **_pair_unknown(arguments.unknown)},
        environment=os.environ,
        file=getattr(arguments, "config", None),
    )


def _add_flag(section: Any, setting: Setting) -> None:
    options: dict[str, Any]
    if setting.kind == "boolean":
        options = {"action": argparse.BooleanOptionalAction, "default": None}
    elif setting.kind == "array":
        options = {"metavar": "ITEM", "nargs": "*", "action": "extend"}
    else:
        placeholder = {"integer": "N", "number": "X", "string": "TEXT"}[setting.kind]
        choices = "{" + ",".join(setting.choices) + "}"
        options = {"metavar": choices if setting.choices else placeholder, "nargs": "?", "const": NO_VALUE}
    section.add_argument(setting.flag, dest=setting.name, help=_describe(setting), **options)


def _describe(setting: Setting) -> str:
    """Write a flag's help: its meaning, range and default."""
    shown = setting.default
    if setting.kind == "boolean":
        shown = "yes" if setting.default else "no"
    elif setting.kind == "array":
        shown = " ".join(setting.default) or "none"
    # The placeholder of a single value already shows its choices.
    has_range = setting.kind in {"integer", "number", "array"}
    text = f"{setting.help} [{setting.allowed + '; ' if has_range else ''}default: {shown}]"
    return text.replace("%", "%%")  # argparse expands a lone %


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
