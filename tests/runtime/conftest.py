from __future__ import annotations

from pathlib import Path

import pytest
from tiny_bundle import write_tiny_bundle

from semilla.runtime.session import Model, load


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's output directory with a bundle in it; not to be changed."""
    directory = tmp_path_factory.mktemp("run")
    write_tiny_bundle(directory / "bundle")
    return directory


@pytest.fixture(scope="session")
def model(run_dir: Path) -> Model:
    return load(run_dir)
