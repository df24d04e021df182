"""The split into fast and slow tests: each kind of check keeps a fast sample, and no entry is stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiers import SAMPLED, SLOW, TESTS, find_sample_reason

ROOT = TESTS.parent


@pytest.mark.parametrize("place", SAMPLED)
def test_sampled_places_exist(place: str) -> None:
    """A file or folder that was renamed would run whole again."""
    assert (TESTS / place).exists()
    assert find_sample_reason(place) == SAMPLED[place]


@pytest.mark.parametrize("test", SLOW)
def test_slow_tests_exist(test: str) -> None:
    """A test that was renamed would be fast again."""
    place, _, name = test.partition("::")
    assert f"def {name}(" in (TESTS / place).read_text(encoding="utf-8")


EXAMPLE = """
import pytest

@pytest.mark.parametrize("number", [1, 2, 3])
def test_numbers(number): pass

def test_alone(): pass
"""


def collect(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What pytest selects of an example in a copy of the tests' own set-up."""
    (folder / "durability").mkdir()
    (folder / "durability" / "test_example.py").write_text(EXAMPLE, encoding="utf-8")
    for name in ("conftest.py", "tiers.py"):
        (folder / name).write_text((TESTS / name).read_text(encoding="utf-8"), encoding="utf-8")
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        *settings,
        "-o",
        f"pythonpath={folder}",
    ]
    return subprocess.run(
        [*command, *words, str(folder)], capture_output=True, text=True, check=False, timeout=300
    )


def test_only_the_first_case_is_fast(tmp_path: Path) -> None:
    """In a sampled folder a test keeps its first parameter and a test without parameters stays."""
    fast = collect(tmp_path, "-m", "not slow").stdout
    assert "test_numbers[1]" in fast
    assert "test_numbers[2]" not in fast
    assert "test_alone" in fast
    assert "2 deselected" in fast


def test_a_slow_test_needs_a_reason(tmp_path: Path) -> None:
    """Without a reason nobody could judge whether a test may be left out."""
    (tmp_path / "test_bare.py").write_text(
        "import pytest\n\n@pytest.mark.slow\ndef test_one(): pass\n", encoding="utf-8"
    )
    refused = collect(tmp_path)
    assert refused.returncode != 0
    assert "test_bare.py::test_one: a slow test needs a reason" in refused.stderr
