"""``semilla config``: show the settings in several formats, show their schema, or update an old file."""

from __future__ import annotations

import argparse
import shlex
import tomllib
from pathlib import Path
from typing import Any

from semilla.configuration.flags import add_settings, load_arguments
from semilla.configuration.loading import LoadedConfiguration, check_content, read_file_text
from semilla.configuration.migrations import SCHEMA_KEY, SCHEMA_VERSION, migrate_text
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings, to_toml
from semilla.errors import InvalidConfigError
from semilla.formatting import quote
from semilla.records import names
from semilla.records.files import write_text
from semilla.system.paths import read_path
from semilla.terminal.console import print_json, print_text
from semilla.terminal.tables import print_table

HELP = """show: the settings of a run, and where each comes from; schema: their JSON schema;
migrate: rewrite a file of an earlier version with the current names, and list the changes.
The toml format can be passed to --config, and the shell format can be sourced."""

ACTIONS = ("show", "schema", "migrate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=ACTIONS, metavar="|".join(ACTIONS), help="what to do")
    parser.add_argument("file", type=read_path, nargs="?", metavar="FILE", help="for migrate: the TOML file")
    parser.add_argument(
        "--output",
        type=read_path,
        metavar="FILE",
        help="for migrate: where to write (default: the same file)",
    )
    parser.add_argument(
        "--format",
        choices=("table", "toml", "json", "shell"),
        default="table",
        help="for show (default: table)",
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "migrate":
        migrate(arguments.file, output=arguments.output)
        return 0
    if arguments.file or arguments.output:
        raise InvalidConfigError(
            "FILE and --output are only for migrate; show reads the file given with --config"
        )
    loaded = load_arguments(arguments)
    if arguments.action == "schema":
        print_json(describe_schema())
    elif arguments.format == "table":
        print_settings(loaded)
    elif arguments.format == "json":
        print_json(loaded.config.model_dump(mode="json"))
    else:
        write = to_toml if arguments.format == "toml" else to_shell
        print_text(write(loaded.config).rstrip("\n"))
    return 0


def migrate(path: Path | None, *, output: Path | None) -> None:
    """Rewrite a file with the current names. Nothing is written unless the result is a valid configuration."""
    if path is None:
        raise InvalidConfigError("config migrate needs a FILE to update")
    target = output or path.resolve()  # a link stays; its target is rewritten
    if (target.parent / names.STATUS).exists() and target.name == names.CONFIGURATION:
        raise InvalidConfigError(
            f"{target} is the record of a run and must not be changed",
            next_command=f"semilla config migrate {quote(path)} --output my-{names.CONFIGURATION}",
        )
    try:
        text, notes = migrate_text(read_file_text(path), place=str(path))
    except ValueError as error:
        raise InvalidConfigError(f"{path} must be a TOML file: {error}") from error
    check_content(tomllib.loads(text), place=str(path))
    if not notes and not output:
        print_text(f"{path} is up to date.")
        return
    write_text(target, text)
    for note in notes:
        print_text(f"note: {note}")
    print_text(f"{target} is up to date.")


def describe_schema() -> dict[str, Any]:
    """The JSON schema of a configuration file, including the optional version of its names."""
    schema = PipelineConfiguration.model_json_schema()
    version = {"description": "Version of the settings' names.", "const": SCHEMA_VERSION}
    schema["properties"] = {SCHEMA_KEY: version, **schema["properties"]}
    return schema


def print_settings(loaded: LoadedConfiguration) -> None:
    values = loaded.config.flatten()
    rows = [
        (name, _write(values[name]), loaded.origins[name], setting.allowed)
        for name, setting in list_settings().items()
    ]
    print_table(rows, headings=("setting", "value", "from", "allowed"))


def to_shell(config: PipelineConfiguration) -> str:
    """Write the settings as environment variables, for a shell to source."""
    values = config.flatten()
    return "\n".join(
        f"export {setting.variable}={shlex.quote(_write(values[name]))}"
        for name, setting in list_settings().items()
    )


def _write(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
