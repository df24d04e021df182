"""The configuration a run resolved to, as it stands in the run's directory."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

from semilla.configuration.migrations import bring_up_to_date, take_version
from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import IntegrityError, from_os_error
from semilla.records import names
from semilla.records.status import read_status


def read_run_configuration(directory: Path) -> PipelineConfiguration:
    """The configuration a run resolved to, with the directory it stands in now."""
    path = directory / names.CONFIGURATION
    status = read_status(directory)
    try:
        data = path.read_bytes()
        if status and status.configuration_sha256 not in {"", hashlib.sha256(data).hexdigest()}:
            raise IntegrityError(f"{path} is not what the run wrote: its SHA-256 differs")
        values = tomllib.loads(data.decode("utf-8"))
        take_version(values, place=str(path))
        values = bring_up_to_date(values)
        return PipelineConfiguration.model_validate({**values, "output_directory": str(directory)})
    except FileNotFoundError:
        raise IntegrityError(
            f"{directory} is not a run's directory: it has no {names.CONFIGURATION}"
        ) from None
    except OSError as error:
        raise from_os_error(error, path) from error
    except ValueError as error:
        raise IntegrityError(f"{path} is not a configuration: {str(error).splitlines()[0]}") from error
