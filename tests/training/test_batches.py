"""Batches are pure functions of seed, epoch and step; every held-out token is measured exactly once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID
from semilla.training.data import (
    NO_TARGET,
    HeldOutText,
    TrainingData,
    arrange_documents,
    batch_held_out,
    cut_batch,
    cut_held_out,
    draw_repetitions,
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


def test_repetition_repeats_a_piece_of_text_in_each_window() -> None:
    """A quarter to half of the window, again and again, from anywhere; every step has its own, the same each time."""
    data, planned = make_data(4000, 32), np.arange(0, 3200, 100)
    starts, periods = draw_repetitions(data, planned, 5)
    again, other = draw_repetitions(data, planned, 5), draw_repetitions(data, planned, 6)
    assert np.array_equal((starts, periods), again)
    assert not np.array_equal(starts, other[0])
    assert not np.array_equal(periods, other[1])
    assert {*range(32)} >= {*(planned - starts).tolist()} > {0}
    assert {*range(8, 17)} >= {*periods.tolist()} > {8}
    inputs, targets = cut_batch(data, starts, periods)
    assert inputs.shape == targets.shape == (32, 32)
    assert (targets[:, :-1] == inputs[:, 1:]).all()
    for start, period, row in zip(starts, periods, inputs, strict=True):
        assert row.tolist() == [start + place % period for place in range(32)]


@given(size=st.integers(1, 300), length=st.integers(2, 40))
def test_every_held_out_token_is_predicted_exactly_once(size: int, length: int) -> None:
    """The first from the begin token, every other from the one before it."""
    tokens = np.arange(10, 10 + size, dtype=np.int32)
    cuts = list(cut_held_out(HeldOutText("es", tokens, 1), length=length))
    targets, inputs = np.concatenate([cut[1] for cut in cuts]), np.concatenate([cut[0] for cut in cuts])
    assert targets.tolist() == tokens.tolist()
    assert inputs.tolist() == [BEGIN_ID, *tokens[:-1].tolist()]
    assert all(len(before) == len(after) <= length for before, after in cuts)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40), st.integers(2, 40), st.integers(1, 8))
def test_short_documents_are_evaluated_in_batches(sizes: list[int], length: int, batch_size: int) -> None:
    """Every target once, padding aside, in batches of no more tokens than full windows would have."""
    ends = np.cumsum([10, *sizes])
    texts = [HeldOutText("es", np.arange(*pair, dtype=np.int32), 1) for pair in pairwise(ends)]
    batches = list(batch_held_out(texts, length=length, batch_size=batch_size))
    targets = np.concatenate([after.ravel() for _, after in batches])
    assert sorted(targets[targets != NO_TARGET].tolist()) == list(range(10, ends[-1]))
    assert all(after.size <= batch_size * length for _, after in batches)


def test_many_short_documents_take_few_batches() -> None:
    """Two hundred documents of eight tokens fit into four batches of four windows of a hundred."""
    texts = [HeldOutText("es", np.arange(8, dtype=np.int32), 1)] * 200
    assert len(list(batch_held_out(texts, length=100, batch_size=4))) == 4


def make_documents(sizes: list[int], length: int) -> TrainingData:
    """Documents of the sizes given, in tokens, each between a begin and an end token."""
    starts = np.cumsum([0, *sizes])
    stream = np.arange(10, 10 + starts[-1], dtype=np.int32)
    stream[starts[:-1]], stream[starts[1:] - 1] = BEGIN_ID, END_ID
    return TrainingData(stream, (), 4, length, 0, None, tuple(starts[:-1].tolist()))


SIZES = st.lists(st.integers(2, 120), min_size=1, max_size=60)


@given(sizes=SIZES, length=st.integers(2, 30), epoch=st.integers(1, 5))
def test_an_epoch_has_every_document_whole_in_an_order_of_its_own(
    sizes: list[int], length: int, epoch: int
) -> None:
    """The documents of the arranged stream are those of the text, and planning twice gives the same."""
    data = make_documents(sizes, length)
    arranged = arrange_documents(data, epoch)
    documents = [part.tolist() for part in np.split(data.stream, data.document_starts[1:])]
    found = [part.tolist() for part in np.split(arranged.stream, arranged.document_starts[1:])]
    assert sorted(documents) == sorted(found)
    assert (arrange_documents(data, epoch).stream == arranged.stream).all()
    assert arranged.num_windows == data.num_windows


@given(sizes=SIZES, length=st.integers(2, 30), epoch=st.integers(1, 5))
def test_windows_of_documents_hardly_overlap(sizes: list[int], length: int, epoch: int) -> None:
    """Each epoch has as many windows as the stream holds; they overlap by a third at most and stay inside."""
    data = make_documents([*sizes, 2 * length], length)
    starts = plan_epoch(arrange_documents(data, epoch), epoch)
    assert len(starts) == data.num_windows
    assert np.diff(np.sort(starts)).min(initial=length) >= length - length // 3
    assert starts.min() >= 0
    assert (starts + length < len(data.stream)).all()


def test_most_stories_a_little_shorter_than_a_window_are_whole_in_one() -> None:
    """What a story says at its beginning can be looked up when its end is learned."""
    data = make_documents(np.random.default_rng(0).integers(87, 129, 500).tolist(), 128)
    arranged = arrange_documents(data, 1)
    starts = np.sort(plan_epoch(arranged, 1))
    ends = np.append(arranged.document_starts[1:], len(arranged.stream))
    last = np.maximum(np.searchsorted(starts, arranged.document_starts, side="right") - 1, 0)
    is_whole = (starts[last] <= arranged.document_starts) & (ends <= starts[last] + data.length + 1)
    assert is_whole.mean() > 0.75


def test_windows_prefer_to_begin_where_a_document_begins() -> None:
    """Of documents shorter than a window, nearly every window begins with one, though their sizes differ."""
    random = np.random.default_rng(0)
    data = make_documents(random.integers(20, 60, 500).tolist(), 128)
    arranged = arrange_documents(data, 1)
    starts = plan_epoch(arranged, 1)
    assert np.isin(starts, arranged.document_starts).mean() > 0.9
    assert not np.array_equal(arranged.stream, arrange_documents(data, 2).stream)


def test_every_end_is_learned_every_epoch() -> None:
    """Nearly all end tokens are targets in an epoch, also of documents longer than a window."""
    data = make_documents([70] * 100, 32)
    arranged = arrange_documents(data, 1)
    _, targets = cut_batch(arranged, plan_epoch(arranged, 1))
    assert (targets == END_ID).sum() >= 95


def test_a_sample_of_the_held_out_windows_is_the_same_every_time_and_spread() -> None:
    """With a step of three, every third window of the same order, whatever text it is in."""
    texts = [
        HeldOutText("es", np.arange(start, start + 100, dtype=np.int32), 1) for start in range(3, 803, 100)
    ]
    every = [window for text in texts for window in cut_held_out(text, length=16)]
    batches = list(batch_held_out(texts, length=16, batch_size=4, step=3))
    found = sorted(row[row != NO_TARGET].tolist() for _, targets in batches for row in targets)
    assert found == sorted(targets.tolist() for _, targets in every[::3])
