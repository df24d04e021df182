"""A folder with two small models, and a server for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Served, serve
from tiny_bundle import write_tiny_bundle

from semilla.runtime.session import Model, load


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models ñ")
    write_tiny_bundle(folder / "river")
    write_tiny_bundle(folder / "tree", seed=1)
    return folder


@pytest.fixture(scope="session")
def model(models_dir: Path) -> Model:
    """The runtime's own model of the same files as ``river``."""
    return load(models_dir / "river")


@pytest.fixture(scope="module")
def served(models_dir: Path) -> Iterator[Served]:
    """One server for each file of tests. It must not outlive them: tests elsewhere replace the clock, and a server that
    has set a timer meanwhile never stops."""
    with serve(models_dir) as one:
        yield one
