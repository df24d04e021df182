"""The settings as command-line flags: kept as text, so that every mistake can be told at once."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from semilla.configuration.settings import Setting, list_settings
from semilla.configuration.sources import NO_VALUE, LoadedConfiguration, load_configuration


def add_settings(parser: argparse.ArgumentParser, *, only: Collection[str] | None = None) -> None:
    """Add ``--config`` and a flag per setting, grouped as the configuration is; or flags of ``only`` some."""
    if only is None:
        help_text = "TOML file with settings; flags and variables win over it"
        parser.add_argument("--config", type=Path, metavar="FILE", help=help_text)
    sections: dict[str | None, Any] = {}
    for setting in list_settings().values():
        if only is None or setting.name in only:
            if setting.group not in sections:
                title = (setting.group or "settings").replace("_", " ")
                sections[setting.group] = parser.add_argument_group(title)
            _add_flag(sections[setting.group], setting)
    parser.set_defaults(collects_unknown=True)


def load_arguments(arguments: argparse.Namespace, **changes: str) -> LoadedConfiguration:
    """Make the configuration from parsed flags, ``os.environ`` and ``--config``; ``changes`` stand for other flags."""
    flags = {name: value for name, value in vars(arguments).items() if name in list_settings()}
    given = {name: _mark_missing(value) for name, value in flags.items() if value is not None}
    return load_configuration(
        flags={**given, **changes, **_pair_unknown(arguments.unknown)},
        environment=os.environ,
        file=getattr(arguments, "config", None),
    )


def _add_flag(section: Any, setting: Setting) -> None:
    text = _describe(setting)
    if setting.kind == "boolean":
        action = argparse.BooleanOptionalAction
        section.add_argument(setting.flag, dest=setting.name, action=action, default=None, help=text)
        return
    many = (
        {"nargs": "*", "action": "extend"} if setting.kind == "array" else {"nargs": "?", "const": NO_VALUE}
    )
    section.add_argument(setting.flag, dest=setting.name, metavar=_name_value(setting), help=text, **many)


def _describe(setting: Setting) -> str:
    """Write the help: what it is, its range, its default (a lone % would start a format)."""
    shown = setting.default
    if setting.kind == "boolean":
        shown = "yes" if setting.default else "no"
    elif setting.kind == "array":
        shown = " ".join(setting.default) or "none"
    # The choices of a single value stand in its place holder already.
    has_range = setting.kind in {"integer", "number", "array"}
    return f"{setting.help} [{setting.allowed + '; ' if has_range else ''}default: {shown}]".replace(
        "%", "%%"
    )


def _name_value(setting: Setting) -> str:
    if setting.choices and setting.kind != "array":
        return "{" + ",".join(setting.choices) + "}"
    return {"integer": "N", "number": "X", "string": "TEXT", "array": "ITEM"}[setting.kind]


def _mark_missing(value: Any) -> Any:
    return NO_VALUE if value == [] else value


def _pair_unknown(words: list[str]) -> dict[str, Any]:
    """Give each unknown flag the word that follows it, so that one mistake is reported once."""
    unknown: dict[str, Any] = {}
    last = None
    for word in words:
        if word.startswith("-") and word != "--":
            last, has_value, value = word.partition("=")
            unknown[last] = value if has_value else NO_VALUE
        elif last is not None and unknown[last] is NO_VALUE:
            unknown[last] = word
        elif word != "--":
            unknown[word] = NO_VALUE
    return unknown
