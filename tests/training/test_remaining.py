"""How long a run will still take."""

from __future__ import annotations

import pytest

from semilla.training import remaining
from semilla.training.remaining import EPOCH_END_SHARE, VALIDATION_S, RemainingTime
from semilla.training.state import StepInfo


def make_info(step: int, *, ends_epoch: bool = False) -> StepInfo:
    return StepInfo(step, 1, 5.0, 3e-4, 1.0, 100, 2.0, ends_epoch)


def test_the_end_of_every_epoch_and_the_validation_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three epochs of ten steps of two seconds: first the ends are guessed, then they are as long as the first was."""
    clock = iter([100.0, 107.0])
    monkeypatch.setattr(remaining.time, "monotonic", lambda: next(clock))
    estimate = RemainingTime(steps_per_epoch=10)
    guessed_s = EPOCH_END_SHARE * 20
    assert estimate.estimate_s(make_info(5), total_steps=30, step_s=2.0) == pytest.approx(
        50 + 3 * guessed_s + VALIDATION_S
    )
    assert estimate.estimate_s(make_info(10, ends_epoch=True), total_steps=30, step_s=2.0) == pytest.approx(
        40 + 3 * guessed_s + VALIDATION_S
    )
    with estimate.timing_epoch_end():
        pass
    assert estimate.estimate_s(make_info(11), total_steps=30, step_s=2.0) == pytest.approx(
        38 + 2 * 7 + VALIDATION_S
    )
    assert estimate.estimate_s(make_info(30, ends_epoch=True), total_steps=30, step_s=2.0) == pytest.approx(
        7 + VALIDATION_S
    )
