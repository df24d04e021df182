"""Imports packages one by one and reports each on a line, with the resident memory that its import took.

A script for a child process, which may crash.

Usage: ``python -P probe.py PACKAGE ... [--devices]``
"""

import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
from types import ModuleType

from semilla.system.footprint import read_memory_mb

MARK = "semilla-probe:"
"""Marks our lines, because packages may print while they are imported."""


def probe_package(name: str) -> dict[str, object]:
    before_mb, _ = read_memory_mb()
    try:
        module = importlib.import_module(name)
        after_mb, _ = read_memory_mb()
        return {"name": name, "version": find_version(module), "memory_mb": after_mb - before_mb}
    except ModuleNotFoundError as error:
        return {"name": name, "missing": error.name == name, "error": str(error)}
    except Exception as error:
        return {"name": name, "error": f"{type(error).__name__}: {error}"}


def find_version(module: ModuleType) -> str:
    try:
        return importlib.metadata.version(module.__name__)
    except importlib.metadata.PackageNotFoundError:  # mlflow is also in a package of another name
        return str(module.__version__)


def probe_devices() -> dict[str, object]:
    from semilla.training.devices import find_devices  # noqa: PLC0415 - it imports torch

    return {"name": "devices", "found": find_devices()}


def tell(report: dict[str, object]) -> None:
    sys.stdout.write(MARK + json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tempfile.tempdir = os.devnull  # finding one would write; trackio does when it is imported
    for package in sys.argv[1:]:
        tell(probe_devices() if package == "--devices" else probe_package(package))
