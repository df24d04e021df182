"""The loss of a bundle, measured through the runtime that ships."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from semilla.evaluation.gates import find_threshold, judge
from semilla.evaluation.losses import (
    EXPECTED_SHARE,
    NO_GAIN,
    find_expected_gain,
    measure_frequency_baseline,
    measure_gains,
    measure_loss,
)
from semilla.runtime.session import load
from semilla.training.data import HeldOutText, TrainingData


def test_what_a_text_has_to_gain() -> None:
    """Random digits have nothing to gain over frequencies, and a text whose tokens follow each other has all of it."""
    random = np.random.default_rng(0).integers(0, 10, 20_000).astype(np.int32)
    repeated = np.tile(np.arange(10, dtype=np.int32), 2_000)
    expected = []
    for stream in (random, repeated):
        held_out = (HeldOutText("zxx", stream[-1000:], size_bytes=1000),)
        data = TrainingData(stream, held_out, batch_size=1, length=8, seed=0)
        baseline = measure_frequency_baseline(data, vocab_size=10)
        assert baseline == pytest.approx(np.log(10), abs=0.01)
        expected.append(find_expected_gain(data, vocab_size=10, baseline=baseline))
    assert expected == [-NO_GAIN, pytest.approx(EXPECTED_SHARE * np.log(10), abs=0.02)]


def test_the_loss_of_a_bundle_is_the_cross_entropy_of_its_logits(tmp_path: Path) -> None:
    """Over windows of any length: the mean of minus the log-probability of each target."""
    model = load(write_tiny_bundle(tmp_path))
    random = np.random.default_rng(0)
    windows = [random.integers(3, model.tokenizer.vocab_size, (2, length)) for length in (32, 5, 1)]
    nats = []
    for inputs, targets in windows:
        logits = model.compute_logits(inputs).astype(np.float64)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        nats += [-np.log(row[target]) for row, target in zip(shares, targets, strict=True)]
    assert measure_loss(model, [(one[0], one[1]) for one in windows]) == pytest.approx(
        np.mean(nats), abs=1e-5
    )


@pytest.mark.parametrize(
    ("losses", "missed"),
    [
        ([3.0, 2.5, 2.75], set()),
        ([3.0], set()),
        ([3.0, 3.5, 3.25], {"gain_since_first_epoch"}),
        ([7.5, 8.0], {"gain_since_first_epoch", "gain_over_uniform"}),
        ([math.log(1000)], {"gain_over_uniform"}),
    ],
)
def test_a_model_that_learned_nothing_misses_a_gate(losses: list[float], missed: set[str]) -> None:
    """A loss above even guessing, or above the first epoch's ever after, is a failure with its reason."""
    findings = judge(measure_gains(losses, best_loss=min(losses), vocab_size=1000))
    assert {finding.name for finding in findings if not finding.passed} == missed
    assert all(finding.kind == "gate" and find_threshold(finding.name).reason for finding in findings)
