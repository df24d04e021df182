"""The learning rate warms up, peaks at the base rate and decays; momentum and dropout rise."""

from __future__ import annotations

import pytest

from semilla.training.schedule import (
    FINAL_SHARE,
    MOMENTUM,
    MOMENTUM_STEPS,
    compute_dropout,
    compute_learning_rate,
    compute_momentum,
)


def test_the_rate_rises_to_the_base_and_falls_to_the_remainder() -> None:
    """The peak is the base rate, at the end of the warm-up."""
    rates = [compute_learning_rate(s, total_steps=1000, base=3e-4, warmup_fraction=0.1) for s in range(1000)]
    peak = rates.index(max(rates))
    assert 99 <= peak <= 100
    assert max(rates) == pytest.approx(3e-4)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak + 1 :] == sorted(rates[peak + 1 :], reverse=True)
    assert rates[-1] == pytest.approx(FINAL_SHARE * 3e-4, rel=0.1)


@pytest.mark.parametrize("total_steps", [1, 2, 3])
def test_very_short_runs_have_a_rate(total_steps: int) -> None:
    """A run of one step trains at the base rate."""
    for step in range(total_steps):
        assert compute_learning_rate(step, total_steps=total_steps, base=1e-3, warmup_fraction=0) > 0


def test_dropout_rises_from_none_to_its_setting() -> None:
    """Linearly, and never above it."""
    probabilities = [compute_dropout(step, total_steps=1000, final=0.2) for step in range(1000)]
    assert probabilities[0] == 0
    assert probabilities[500] == pytest.approx(0.1)
    assert probabilities == sorted(probabilities)
    assert 0.199 < probabilities[-1] <= 0.2


def test_momentum_rises_and_stays() -> None:
    """For a training of any length."""
    momenta = [compute_momentum(step) for step in range(2 * MOMENTUM_STEPS)]
    assert momenta[0] == pytest.approx(0.85)
    assert momenta == sorted(momenta)
    assert momenta[MOMENTUM_STEPS - 1] < MOMENTUM
    assert set(momenta[MOMENTUM_STEPS:]) == {MOMENTUM}
