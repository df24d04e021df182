"""``configuration.toml`` in a run's directory: the configuration the run resolved to."""

from __future__ import annotations

import hashlib
import os
import tomllib
from pathlib import Path

from semilla.configuration.migrations import bring_up_to_date, take_version
from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_toml
from semilla.errors import IntegrityError
from semilla.records import names
from semilla.records.files import read_bytes, write_text
from semilla.records.nearby import suggest_run
from semilla.records.status import read_status


def write_run_configuration(directory: Path, config: PipelineConfiguration) -> str:
    """Write a run's configuration and return the file's SHA-256."""
    text = to_toml(config)
    write_text(directory / names.CONFIGURATION, text)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_run_configuration(directory: Path) -> PipelineConfiguration:
    """Read a run's configuration; ``output_directory`` is where the run's directory is now."""
    path = directory / names.CONFIGURATION
    status = read_status(directory)
    if not os.path.lexists(path):
        hint, next_command = suggest_run(directory, "status")
        raise IntegrityError(
            f"{directory} is not a run's directory: it has no {names.CONFIGURATION}{hint}",
            next_command=next_command,
        )
    data = read_bytes(path)
    try:
        if status and status.configuration_sha256 not in {"", hashlib.sha256(data).hexdigest()}:
            raise IntegrityError(f"{path} has changed since the run wrote it: its SHA-256 differs")
        values = tomllib.loads(data.decode("utf-8"))
        take_version(values, place=str(path))
        values = bring_up_to_date(values)
        place = f"./{directory}" if str(directory).startswith("~") else str(directory)
        return PipelineConfiguration.model_validate({**values, "output_directory": place})
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} is not a configuration: {str(error).splitlines()[0]}") from error
