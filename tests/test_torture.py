"""Runs that are killed, cut off and damaged lose nothing, and each harness finds its planted defect.

``scripts/torture`` runs the same harnesses at any length; ``torture/sample.py`` says how much of each runs here. A few
trials are fast tests, many are slow ones.
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
from torture.sample import DEFECTS

pytestmark = pytest.mark.timeout(3600)  # minutes on two idle cores

TESTS = Path(__file__).parent


Ask = Callable[[str], dict[str, Any]]
"""Run a harness by its name in the sample and return its summary, with the first five ``faults``."""


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """One process for all harnesses: preparing one from which runs can be forked takes a while."""
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


def list_amounts(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test with a few trials, and with many where slow tests run; ``number`` is what it must count."""
    slow = pytest.mark.slow(reason="the same with many trials takes minutes")
    amounts = [pytest.param("a few", few, id="few"), pytest.param("many", many, id="many", marks=slow)]
    return pytest.mark.parametrize(("amount", "number"), amounts)


@list_amounts(few=13, many=100)
def test_kills_at_random_instants_change_no_bit(ask: Ask, amount: str, number: int) -> None:
    """K1, K5, K14: one to twelve SIGKILLs in all five phases; tensors, metrics, files and status are compared."""
    kills = ask(f"{amount} kills")
    assert kills["faults"] == []
    assert (kills["kills"], kills["bit-identical"]) == (number, kills["trials"])


@list_amounts(few=2, many=10)
def test_kills_of_the_command_change_no_bit(ask: Ask, amount: str, number: int) -> None:
    """K1: the same with ``semilla run --resume`` in fresh processes."""
    kills = ask(f"{amount} kills of the command")
    assert kills["faults"] == []
    assert (kills["kills"], kills["bit-identical"]) == (number, kills["trials"])


@list_amounts(few=1, many=2)
def test_no_fault_at_a_call_of_the_writer_changes_a_bit(ask: Ask, amount: str, number: int) -> None:
    """K2, K3, K4: a kill or a power cut at every call, then at calls of recoveries, followed through directories."""
    calls = ask(f"{amount} faults at calls")
    assert calls["faults"] == []
    assert calls["ended bit-identical"] == calls["of"]
    assert max(map(int, calls["different directories continued, by faults in a row"])) >= number
    assert calls["steps lost, at most"] <= calls["steps between checkpoints"]


@list_amounts(few=4, many=25)
def test_an_interrupted_run_ends_in_the_same_bits(ask: Ask, amount: str, number: int) -> None:
    """K7: each attempt resumes where the last one was killed in mid-training."""
    interruptions = ask(f"{amount} interruptions")
    assert interruptions["faults"] == []
    assert interruptions["interruptions in each"] == [number]
    assert interruptions["bit-identical"] == 1


@list_amounts(few=2, many=20)
def test_announced_checkpoints_survive_power_cuts(ask: Ask, amount: str, number: int) -> None:
    """K11: a file system copied as its disk holds it has every announced checkpoint, and each verifies."""
    cuts = ask(f"{amount} power cuts")
    if "skipped" in cuts:
        pytest.skip(cuts["skipped"])
    assert cuts["faults"] == []
    assert (cuts["power cuts"], cuts["nothing announced was lost"]) == (number, number)


@list_amounts(few=250, many=5000)
def test_damage_is_never_accepted(ask: Ask, amount: str, number: int) -> None:
    """R1, R2: flipped bits and cut files, of every artifact, before every check that the program makes."""
    damage = ask(f"{amount} damages")
    assert damage["faults"] == []
    assert (damage["damages"], damage["accepted as good"]) == (number, 0)


@pytest.mark.parametrize("harness", DEFECTS)
def test_a_planted_defect_is_found(ask: Ask, harness: str) -> None:
    """Without one sync, the rename, the hash or the seed, the harness that passes above fails."""
    found = ask(harness)
    if "skipped" in found:
        pytest.skip(found["skipped"])
    assert found["faults"]
