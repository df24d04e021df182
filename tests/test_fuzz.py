"""Three thousand hostile inputs, each ending in time with a category and an exit code; scripts/fuzz runs many more."""

from __future__ import annotations

import os
import re

import pytest
from fuzzing import TARGETS, judge

CASES = {
    "http": 100,
    "corpus": 150,
    "toml": 150,
    "json": 200,
    "argv": 100,
    "checkpoint": 100,
    "tokenizer": 200,
    "formats": 2000,
}
"""Cases 0 and up of each target; FOUND lists what the long run found."""
FOUND = """
checkpoint:412 checkpoint:790 checkpoint:1192 checkpoint:1429 checkpoint:1440 checkpoint:1464 checkpoint:2442
tokenizer:411 tokenizer:446 tokenizer:1147 tokenizer:2729
""".split()
"""Cases that once failed, as ``target:number``."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if re.match(r"(?i)semilla_|.*_proxy$", name):
            monkeypatch.delenv(name)


def test_thousands_of_cases_of_every_kind() -> None:
    """No target is forgotten."""
    assert set(CASES) == set(TARGETS)
    assert sum(CASES.values()) == 3000


@pytest.mark.parametrize("target", CASES)
def test_hostile_input_ends_as_it_must(target: str) -> None:
    """Four lines, a category, a code of the table, no traceback, no control character, nothing left behind."""
    verdicts = [judge(target, number) for number in range(CASES[target])]
    assert [verdict for verdict in verdicts if verdict.problem] == []
    assert {verdict.exit_code for verdict in verdicts} > {0}, "nothing was accepted, or nothing refused"


def test_the_same_case_is_the_same_input() -> None:
    """A target and a number repeat a case."""
    first, second = (judge("json", 7) for _ in range(2))
    assert (first.exit_code, first.category) == (second.exit_code, second.category)


@pytest.mark.parametrize("case", FOUND)
def test_found_cases_stay_fixed(case: str) -> None:
    """Each of these once ended in a traceback, a wrong exit code or a hang."""
    target, _, number = case.partition(":")
    assert judge(target, int(number)).problem is None
