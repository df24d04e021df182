"""docs/faults.md says which test holds each row; here is held that it says so truly."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECTIONS = {
    "N": [*range(1, 6), 7, *range(9, 13), *range(14, 19), 20, 21, 22, *range(24, 34)],
    "C": [1, 2, 3, 5, 6, 8, 9, 10, *range(12, 19), 20, 21, *range(23, 34)],
    "T": [2, 3, 4, 5, 7, 8, 9],
    "S": [1, 2, 4, 5, *range(7, 13), 14, 15],
    "E": [1, 2, 4, 5, 6, 7, 8, 10],
    "R": [*range(1, 32)],
    "L": [*range(1, 16)],
    "O": [*range(1, 13)],
    "H": [*range(1, 16)],
    "Q": [*range(1, 14)],
    "P": [*range(1, 14)],
}
"""Numbers that are missing were never given, or given up."""


def read_rows() -> dict[str, list[str]]:
    """Row -> the tests that hold it, as ``file::test``."""
    lines = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if re.match(r"\| [A-Z]\d+ \|", line)]
    return {row[0]: re.findall(r"`([\w.]+::\w+)`", row[-1]) for row in rows}


def list_tests() -> dict[str, set[str]]:
    """File name -> names of the tests in it, whichever folder it is in."""
    found = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        found[path.name] |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M))
    return found


def test_no_row_is_missing() -> None:
    """Every row of every section is there, once and in order."""
    assert list(read_rows()) == [f"{letter}{number}" for letter in SECTIONS for number in SECTIONS[letter]]


def test_every_row_is_held_by_tests_that_exist() -> None:
    """A test that was renamed or removed takes its row along."""
    tests = list_tests()
    for row, names in read_rows().items():
        assert names, row
        for name in names:
            file, _, test = name.partition("::")
            assert test in tests[file], f"{row}: {name}"


def test_rows_that_tests_name_are_on_the_page() -> None:
    """A test that says it holds a row says so of one that is there."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    named = {one for text in texts for one in re.findall(r'\(((?:[NCTSEHP]\d+(?:, )?)+)\)\.?"""', text)}
    rows = {row for group in named for row in group.split(", ")}
    assert rows
    assert rows <= read_rows().keys()
