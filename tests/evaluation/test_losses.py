"""The loss of a bundle, measured through the runtime that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from semilla.evaluation.losses import measure_loss
from semilla.runtime.session import load


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
