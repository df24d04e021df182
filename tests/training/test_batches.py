"""Batches are pure functions of seed, epoch and step; every held-out token is measured exactly once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semilla.tokenizer.tokenizer import BEGIN_ID
from semilla.training.data import (
    HeldOutText,
    TrainingData,
    cut_batch,
    cut_held_out,
    halve_sequences,
    plan_epoch,
)


def make_data(num_tokens: int, length: int, seed: int = 0) -> TrainingData:
    return TrainingData(np.arange(num_tokens, dtype=np.int32), (), 4, length, seed)


@given(
    length=st.integers(2, 40), extra=st.integers(0, 500), epoch=st.integers(1, 5), seed=st.integers(0, 2**62)
)
def test_windows_never_overlap_and_stay_inside(length: int, extra: int, epoch: int, seed: int) -> None:
    """Each training token is a target at most once per epoch, and no window reaches beyond the text."""
    data = make_data(2 * length + extra, length, seed)
    starts = plan_epoch(data, epoch)
    assert len(starts) == data.num_windows >= 1
    assert np.diff(np.sort(starts)).min(initial=length) >= length
    inputs, targets = cut_batch(data, starts)
    assert inputs.min() >= 0
    assert targets.max() < len(data.stream)
    assert (targets == inputs + 1).all()


def test_epochs_differ_and_repeat() -> None:
    """Different epochs have different orders; the same epoch always has the same order."""
    data = make_data(2000, 16)
    assert (plan_epoch(data, 1) == plan_epoch(data, 1)).all()
    assert not np.array_equal(plan_epoch(data, 1), plan_epoch(data, 2))


def test_halves_have_the_same_tokens_in_the_same_order() -> None:
    """Twice as many windows of half the length. Odd lengths are not divided."""
    windows, _ = cut_batch(make_data(2000, 16), np.array([100, 40, 7]))
    halves = halve_sequences(windows)
    assert halves.shape == (6, 8)
    assert halves.ravel().tolist() == windows.ravel().tolist()
    assert halve_sequences(windows[:, :15]).shape == (3, 15)


@given(size=st.integers(1, 300), length=st.integers(2, 40), batch_size=st.integers(1, 8))
def test_every_held_out_token_is_predicted_exactly_once(size: int, length: int, batch_size: int) -> None:
    """The first from the begin token, every other from the one before it."""
    tokens = np.arange(10, 10 + size, dtype=np.int32)
    cuts = list(cut_held_out(HeldOutText("es", tokens, 1), length=length, batch_size=batch_size))
    targets = np.concatenate([part.ravel() for _, part in cuts])
    inputs = np.concatenate([part.ravel() for part, _ in cuts])
    assert targets.tolist() == tokens.tolist()
    assert inputs.tolist() == [BEGIN_ID, *tokens[:-1].tolist()]
