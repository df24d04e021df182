"""Runs that are killed and interrupted end in the same bits; the harness itself must find a defect that is put in.

A sample of ``scripts/torture``, which makes as many trials as time allows and repeats each from its seed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
INTERRUPTIONS = ("interruptions", "--trials", "1", "--interruptions", "6", "--seed", "3")


def torture(*arguments: str, root: Path) -> tuple[int, dict[str, Any]]:
    """Run a harness as ``scripts/torture`` does; its exit code, and what it sums up at the end."""
    done = subprocess.run(
        [sys.executable, "-m", "torture", *arguments, "--root", str(root)],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, json.loads(done.stdout[done.stdout.index("\n{\n") :])


def test_killed_runs_end_in_the_same_bits(tmp_path: Path) -> None:
    """SIGKILL at random instants, up to three times a run; tensors, metrics, files are compared (K1, K3, K5, K14)."""
    code, summary = torture("kills", "--trials", "4", "--seed", "5", root=tmp_path)
    assert (code, summary["trials"], summary["bit-identical"]) == (0, 4, 4)


def test_a_run_interrupted_six_times_ends_in_the_same_bits(tmp_path: Path) -> None:
    """Each attempt goes on where the one before was killed in mid-training (K7)."""
    code, summary = torture(*INTERRUPTIONS, root=tmp_path)
    assert (code, summary["runs"], summary["bit-identical"]) == (0, 1, 1)


@pytest.mark.parametrize("defect", ["seed"])
def test_the_harness_finds_a_defect_put_in_on_purpose(tmp_path: Path, defect: str) -> None:
    """With dropout drawn from state that a kill loses, the bits differ and the harness says so."""
    code, summary = torture(*INTERRUPTIONS, "--sabotage", defect, root=tmp_path)
    assert (code, summary["bit-identical"]) == (1, 0)
