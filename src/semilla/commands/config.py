"""``semilla config``: the resolved settings in several formats, their schema, and old files brought up to date."""

from __future__ import annotations

import argparse
import json
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
from semilla.terminal.console import print_text
from semilla.terminal.tables import print_table

HELP = """show: the settings as a run would take them, with the origin of each; schema: their JSON schema;
migrate: rewrite a file of an earlier Semilla under the present names, and say what changed.
The toml format can be given back with --config, the shell format can be sourced."""

ACTIONS = ("show", "schema", "migrate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=ACTIONS, metavar="|".join(ACTIONS), help="what to do")
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="of migrate: the TOML file")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="of migrate: where to write (default: the file itself)",
    )
    parser.add_argument(
        "--format",
        choices=("table", "toml", "json", "shell"),
        default="table",
        help="of show (default: table)",
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "migrate":
        migrate(arguments.file, output=arguments.output)
        return 0
    if arguments.file or arguments.output:
        raise InvalidConfigError("FILE and --output belong to migrate; show reads the file of --config")
    loaded = load_arguments(arguments)
    if arguments.action == "schema":
        print_text(json.dumps(describe_schema(), ensure_ascii=False, indent=2))
    elif arguments.format == "table":
        print_settings(loaded)
    else:
        formats = {"toml": to_toml, "json": to_json, "shell": to_shell}
        print_text(formats[arguments.format](loaded.config).rstrip("\n"))
    return 0


def migrate(path: Path | None, *, output: Path | None) -> None:
    """Rewrite a file under the present names; it must be a valid configuration then, or nothing is written."""
    if path is None:
        raise InvalidConfigError("config migrate needs the FILE to bring up to date")
    target = output or path.resolve()  # of a link, the file it leads to
    if (target.parent / names.STATUS).exists() and target.name == names.CONFIGURATION:
        raise InvalidConfigError(
            f"{target} is a run's own record and stays as the run wrote it",
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
    """The JSON schema of a configuration file, which may say the version of its names."""
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
