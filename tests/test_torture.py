"""Runs that are killed, cut off and damaged lose nothing; and each harness finds the defect that is put in for it.

What ``scripts/torture`` does at any length, as much of it as ``torture/sample.py`` names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torture.sample import SAMPLE

pytestmark = pytest.mark.timeout(3600)  # minutes on two cores that nobody else uses

TESTS = Path(__file__).parent


Ask = Callable[[str], dict[str, Any]]
"""Runs a harness by its name in the sample, and returns what it found; of ``faults`` the first five."""


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """One process for all harnesses, for it takes a while until runs can be forked from it."""
    command = [sys.executable, "-m", "torture", "sample", "--workers", "2"]
    with (tmp_path_factory.mktemp("torture") / "stderr").open("w+") as log:
        process = subprocess.Popen(
            [*command, "--root", str(tmp_path_factory.mktemp("trials"))],
            env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdin
        assert process.stdout

        def ask(name: str) -> dict[str, Any]:
            process.stdin.write(f"{name}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            log.seek(0)
            assert answer, log.read()
            return dict(json.loads(answer))

        yield ask
        process.communicate()


def test_a_hundred_kills_at_random_instants_change_no_bit(ask: Ask) -> None:
    """K1, K5, K14: one to twelve SIGKILLs in all five phases; tensors, metrics, files, status are compared."""
    kills = ask("kills")
    assert kills["faults"] == []
    assert (kills["kills"], kills["bit-identical"]) == (100, kills["trials"])


def test_ten_kills_of_the_command_change_no_bit(ask: Ask) -> None:
    """K1: the same with ``semilla run --resume`` in fresh processes."""
    kills = ask("kills of commands")
    assert kills["faults"] == []
    assert (kills["kills"], kills["bit-identical"]) == (10, kills["trials"])


def test_no_fault_at_a_call_of_the_writer_changes_a_bit(ask: Ask) -> None:
    """K2, K3, K4: a kill or a power cut at every call, then at calls of recoveries: sixty directories they leave."""
    calls = ask("faults at every call")
    assert calls["faults"] == []
    assert calls["ended bit-identical"] == calls["of"]
    assert max(map(int, calls["different directories continued, by faults in a row"])) >= 2
    assert calls["steps lost, at most"] <= calls["steps between checkpoints"]


def test_a_run_interrupted_twenty_five_times_ends_in_the_same_bits(ask: Ask) -> None:
    """K7: each attempt goes on where the one before was killed in mid-training."""
    interruptions = ask("interruptions")
    assert interruptions["faults"] == []
    assert interruptions["interruptions in each"] == [25]
    assert interruptions["bit-identical"] == 1


def test_what_was_announced_outlives_twenty_power_cuts(ask: Ask) -> None:
    """K11: a file system copied as its disk holds it; every checkpoint told of before is there and verifies."""
    cuts = ask("power cuts")
    if "skipped" in cuts:
        pytest.skip(cuts["skipped"])
    assert cuts["faults"] == []
    assert (cuts["power cuts"], cuts["nothing announced was lost"]) == (20, 20)


def test_of_five_thousand_damages_none_is_taken_for_good(ask: Ask) -> None:
    """R1, R2: bits flipped and files cut short, of every artifact, before every check that the program makes."""
    damage = ask("damage")
    assert damage["faults"] == []
    assert (damage["damages"], damage["accepted as good"]) == (5000, 0)


@pytest.mark.parametrize("harness", [name for name, words in SAMPLE.items() if "--sabotage" in words])
def test_a_defect_put_in_on_purpose_is_found(ask: Ask, harness: str) -> None:
    """Without one sync, the rename, the hash or the seed: the harness that passes above fails."""
    found = ask(harness)
    if "skipped" in found:
        pytest.skip(found["skipped"])
    assert found["faults"]
