"""``semilla config``: the resolved settings in several formats, and their schema."""

from __future__ import annotations

import argparse
import json
import shlex

from semilla.config import PipelineConfiguration
from semilla.flags import add_settings, load_arguments
from semilla.settings import list_settings, to_toml
from semilla.sources import LoadedConfiguration
from semilla.terminal.console import print_text
from semilla.terminal.tables import print_table

HELP = """Show the settings as a run would take them, with the origin of each; or their JSON schema.
The toml format can be given back with --config, the shell format can be sourced."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "schema"), metavar="show|schema", help="what to print")
    parser.add_argument(
        "--format",
        choices=("table", "toml", "json", "shell"),
        default="table",
        help="of show (default: table)",
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    loaded = load_arguments(arguments)
    if arguments.action == "schema":
        print_text(json.dumps(PipelineConfiguration.model_json_schema(), ensure_ascii=False, indent=2))
    elif arguments.format == "table":
        print_settings(loaded)
    else:
        formats = {"toml": to_toml, "json": to_json, "shell": to_shell}
        print_text(formats[arguments.format](loaded.config).rstrip("\n"))
    return 0


def print_settings(loaded: LoadedConfiguration) -> None:
    values = loaded.config.flatten()
    rows = [
        (name, _write(values[name]), loaded.origins[name], setting.allowed)
        for name, setting in list_settings().items()
    ]
    print_table(rows, headings=("setting", "value", "from", "allowed"))


def to_json(config: PipelineConfiguration) -> str:
    content = config.model_dump(mode="json")
    return json.dumps(
        {**content, "skip_phases": sorted(content["skip_phases"])}, ensure_ascii=False, indent=2
    )


def to_shell(config: PipelineConfiguration) -> str:
    """Write the settings as variables that a shell exports and Semilla reads."""
    settings = list_settings()
    lines = [
        f"export {settings[name].variable}={shlex.quote(_write(value))}"
        for name, value in config.flatten().items()
    ]
    return "\n".join(lines)


def _write(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
