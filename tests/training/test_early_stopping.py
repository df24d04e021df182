"""Early stopping begins a cool-down when the validation loss improves no more, and the training ends with that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from semilla.configuration.schema import TrainingHyperparameters
from semilla.training import loop
from semilla.training.data import TrainingData, plan_epoch
from semilla.training.early_stopping import (
    COOL_DOWN_SHARE,
    count_epochs,
    describe_cool_down,
    find_cool_down,
    find_last_epoch,
    plan_schedule,
)
from semilla.training.schedule import FINAL_SHARE, compute_learning_rate

from .small_data import make_config
from .test_loop import close_epoch, fresh

PATIENT = TrainingHyperparameters(early_stopping=2, num_epochs=20)


@pytest.mark.parametrize(
    ("losses", "cools_after"),
    [
        ([], 20),
        ([5.0, 4.0, 3.0], 20),
        ([5.0, 4.0, 3.0, 3.1], 20),
        ([5.0, 4.0, 3.0, 3.1, 3.2], 5),
        ([5.0, 4.0, 3.0, 3.0, 3.0], 5),
        ([5.0, 4.0, 3.0, 3.1, 2.9, 3.0], 20),
        ([5.0, 4.0, 3.0, 3.1, 3.2, 2.0], 5),
    ],
    ids=["none", "falling", "one worse", "two worse", "two equal", "better again", "better in the cool-down"],
)
def test_the_cool_down_begins_when_the_patience_ends(losses: list[float], cools_after: int) -> None:
    """And stays where it began, whatever comes later."""
    assert find_cool_down(losses, PATIENT) == cools_after
    last = 6 if cools_after == 5 else 20
    assert find_last_epoch(losses, PATIENT) == last
    assert (describe_cool_down(losses, PATIENT) is None) is (last == 20)


def test_without_patience_every_epoch_is_trained() -> None:
    settings = TrainingHyperparameters(num_epochs=20)
    assert find_last_epoch([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], settings) == 20


def test_no_cool_down_begins_when_the_training_ends_as_soon() -> None:
    """Its schedule ends at the same rate."""
    losses = [3.0, 3.1, 3.2, 3.3, 3.4, 3.5]
    assert count_epochs(3) == 4
    assert find_last_epoch(losses, TrainingHyperparameters(early_stopping=2, num_epochs=5)) == 4
    assert find_last_epoch(losses, TrainingHyperparameters(early_stopping=2, num_epochs=4)) == 4
    assert find_cool_down(losses, TrainingHyperparameters(early_stopping=2, num_epochs=4)) == 4


def test_a_cool_down_is_a_share_of_the_epochs_before() -> None:
    """At least one."""
    assert [count_epochs(done) for done in (1, 2, 5)] == [2, 3, 6]
    assert count_epochs(40) == 40 + round(40 * COOL_DOWN_SHARE)


def test_the_rate_falls_from_where_it_was_to_its_end() -> None:
    """In a straight line; before the cool-down it is that of all epochs."""
    schedule = plan_schedule(5, PATIENT, steps_per_epoch=100)
    assert (schedule.planned_steps, schedule.total_steps) == (2000, 600)
    usual = {"total_steps": 2000, "base": 1e-3, "warmup_fraction": 0.0}
    rates = [compute_learning_rate(step, cool_down=schedule.cool_down, **usual) for step in range(601)]
    assert rates[:501] == [compute_learning_rate(step, **usual) for step in range(501)]
    assert rates[550] == pytest.approx((rates[500] + FINAL_SHARE * 1e-3) / 2)
    assert rates[600] == pytest.approx(FINAL_SHARE * 1e-3)


def test_the_last_steps_of_a_cool_down_have_the_full_softmax_and_whole_sequences(data: TrainingData) -> None:
    """Even when the warm-up of all epochs would not have ended yet; dropout goes on as it was."""
    settings = make_config(
        num_epochs=20, dropout=0.2, short_context_fraction=0.5, early_stopping=2
    ).training_hyperparameters
    schedule = plan_schedule(5, settings, steps_per_epoch=10)
    starts = plan_epoch(data, 1)[:4]
    batches = [
        loop.plan_batch(step, settings, starts, schedule=schedule, data=data) for step in range(49, 60)
    ]
    assert {batch.inputs.shape for batch in batches} == {(4, 32)}
    assert [batch.samples_output for batch in batches] == 5 * [True] + 6 * [False]
    assert [batch.dropout for batch in batches] == pytest.approx([0.2 * step / 200 for step in range(49, 60)])
    assert replace(schedule, cool_down=None).total_steps == 200


def test_the_loop_ends_with_the_cool_down(data: TrainingData) -> None:
    """The validation losses of these tests never improve: the second epoch is the last before it."""
    config = make_config(num_epochs=6, early_stopping=1)
    state = fresh(config)
    rates = []
    for info in loop.train(state, config=config, data=data):
        rates.append(info.learning_rate)
        if info.ends_epoch:
            close_epoch(state, info.epoch)
    assert state.epoch == 3
    assert rates[-1] < 0.2 * rates[2 * data.steps_per_epoch]
