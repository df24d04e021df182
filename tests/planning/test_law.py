"""The recorded law of quality is what its runs give, and the counting model gives the probabilities of its formula."""

from __future__ import annotations

import json
import math
import random
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document
from semilla.planning.law import describe_design, predict_bits, predict_error, read_fitted
from semilla.planning.plan import NINE_IN_TEN
from semilla.planning.text_facts import ORDER, measure_counted_bits, measure_facts

FOLDER = Path(__file__).parents[2] / "benchmarks" / "law"
SIZES: dict[str, Any] = {"train_tokens": np.array([1e5]), "counted_bits": 2.5}
PLAIN = b"the cat sat on the mat, and the rat sat on the hat. " * 3


@pytest.fixture(scope="module")
def fit() -> ModuleType:
    return import_module("fit")


@pytest.fixture(scope="module", autouse=True)
def _folder() -> None:
    sys.path.append(str(FOLDER))


def count_slowly(train: bytes, held_out: bytes, most: int) -> float:
    """The figure of the counting model, byte by byte."""
    followers: dict[bytes, Counter[int]] = {}
    for order in range(most + 1):
        for place in range(order, len(train)):
            followers.setdefault(train[place - order : place], Counter())[train[place]] += 1
    bits = 0.0
    for place, byte in enumerate(held_out):
        chance = 1 / 256
        for order in range(min(most, place) + 1):
            known = followers.get(held_out[place - order : place])
            if known:
                chance = (known[byte] + len(known) * chance) / (known.total() + len(known))
        bits -= math.log2(chance)
    return bits / len(held_out)


def test_the_counting_model_is_that_of_its_formula() -> None:
    held_out = b"the dog sat on the cat."
    slow = count_slowly(PLAIN, held_out, ORDER)
    assert measure_counted_bits(PLAIN, held_out) == pytest.approx(slow)


def test_random_bytes_cannot_be_predicted_and_a_repeated_text_can() -> None:
    noise = random.Random(0).randbytes(20_000)
    assert measure_counted_bits(noise[:18_000], noise[18_000:]) > 7.9
    assert measure_counted_bits(PLAIN * 20, PLAIN) < 0.3


def test_facts_count_bytes_and_characters_of_both_parts() -> None:
    facts = measure_facts([Document("t", "es", "s", ("año\n" * 200,), ("niño\n",))])
    assert (facts.train_bytes, facts.held_out_bytes) == (1000, 6)
    assert facts.num_kinds == len(set("añoni\n"))
    assert facts.bytes_per_character == 1.25


def test_the_recorded_runs_are_those_of_the_plan() -> None:
    """So the same command continues the grid."""
    script = import_module("run_grid")
    lines = (FOLDER.parent / "results" / "quality-grid.jsonl").read_text(encoding="utf-8").splitlines()
    recorded = [row for line in lines if (row := json.loads(line))["run"] >= 0]
    plans = {plan["run"]: plan for plan in script.plan_runs()}
    assert recorded
    assert all({name: row[name] for name in plans[0]} == plans[row["run"]] for row in recorded)


def test_the_coefficients_are_those_that_the_recorded_runs_give(fit: ModuleType) -> None:
    recorded = json.loads(fit.TARGET.read_text(encoding="utf-8"))
    del recorded["errors"]
    grid = fit.read_grid()
    assert fit.is_close(recorded, fit.fit_coefficients(fit.join(grid, fit.read_recorded()), grid))


def test_a_changed_coefficient_is_noticed(fit: ModuleType) -> None:
    recorded = json.loads(fit.TARGET.read_text(encoding="utf-8"))
    changed = {**recorded, "law": {**recorded["law"], "seen": recorded["law"]["seen"] + 0.1}}
    assert not fit.is_close(changed, recorded)


def test_the_runs_are_within_the_error_that_the_law_claims(fit: ModuleType) -> None:
    """The claimed error is that of texts that a fit did not see."""
    recorded = json.loads(fit.TARGET.read_text(encoding="utf-8"))
    runs = fit.join(fit.read_grid(), fit.read_recorded())
    errors = np.abs(np.log(fit.expect_bits(runs, recorded["law"]) / runs.bits))
    assert (errors < NINE_IN_TEN * recorded["errors"]["text"]).mean() >= 0.9


def test_the_error_grows_with_the_distance_from_the_runs() -> None:
    fitted = read_fitted()
    usual = replace(describe_design(PipelineConfiguration()), pieces=np.array([1500.0]))
    far = replace(usual, pieces=np.array([32_000.0]), epochs=np.array([100.0]), rate=np.array([1e-2]))
    assert predict_error(far, **SIZES, fitted=fitted) > 2 * predict_error(usual, **SIZES, fitted=fitted)


def test_the_error_is_that_of_coefficients_drawn_by_their_covariance() -> None:
    """A linear estimate, against the spread of predictions with coefficients drawn at random."""
    fitted = read_fitted()
    design = describe_design(PipelineConfiguration())
    draw = np.random.default_rng(0)
    small = 1e-4  # so that the law is a line within the spread
    drawn = draw.multivariate_normal(list(fitted.law.values()), small**2 * fitted.covariance, size=2000)
    logarithms = [
        np.log(predict_bits(design, **SIZES, coefficients=dict(zip(fitted.law, row, strict=True)))[0])
        for row in drawn
    ]
    found = small * predict_error(design, **SIZES, fitted=fitted)[0]
    assert found == pytest.approx(float(np.std(logarithms)), rel=0.1)
