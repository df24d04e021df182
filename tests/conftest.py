"""For every test: slow ones are marked, nothing is unpickled, and no example of a property has a deadline.

A pickle that names anything is refused when it is read, and fails its test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from tiers import mark_slow_tests

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

UNPICKLED: list[str] = []
_ALLOWED: frozenset[str] = frozenset()
"""Names that packages look up for pickles of their own; none is known."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--num-runs", type=int, default=20, help="runs in the test of what runs leave behind")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_slow_tests(items)


def _refuse_pickles(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class":
        name = ".".join(map(str, arguments))
        if name not in _ALLOWED:
            UNPICKLED.append(name)
            raise RuntimeError(f"a pickle asked for {name}")


sys.addaudithook(_refuse_pickles)


@pytest.fixture
def suite_unpickled() -> list[str]:
    """Names that pickles asked for during this test."""
    return UNPICKLED


@pytest.fixture(autouse=True)
def _nothing_is_unpickled() -> Iterator[None]:
    yield
    unpickled, UNPICKLED[:] = list(UNPICKLED), []
    assert not unpickled, f"unpickled: {', '.join(unpickled)}"
