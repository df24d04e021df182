"""Whole runs, without the check of the packages, which takes seconds and has tests of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tiny_training import KnownPackages

from semilla.pipeline.phases import prerequisite_check


@pytest.fixture(scope="module", autouse=True)
def _known_packages() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prerequisite_check, "PackageProbe", KnownPackages)
        yield
