"""A plan keeps what was set, fits the time, the memory and the device, and is a valid configuration."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import InvalidConfigError
from semilla.model.shape import count_parameters
from semilla.planning import plan as planning
from semilla.planning.cost import compare_speed, estimate_step_s
from semilla.planning.law import describe_design, read_fitted
from semilla.planning.plan import (
    CHOICES,
    FILL,
    PLANNED,
    describe_plan,
    limit_pieces,
    make_plan,
)
from semilla.planning.text_facts import TextFacts

NOVEL = TextFacts(400_000, 45_000, 90, 1.02, 2.3)
CONFIG = PipelineConfiguration()


@pytest.mark.parametrize("minutes", [1, 4, 15, 60])
@pytest.mark.parametrize("size", [50_000, 400_000, 3_000_000])
def test_a_plan_takes_no_longer_than_asked_and_is_valid(minutes: int, size: int) -> None:
    facts = TextFacts(size, size // 9, 90, 1.02, 2.3)
    plan = make_plan(CONFIG, facts, seconds=60 * minutes, speed=0.5)
    assert plan.seconds <= FILL * 60 * minutes
    assert plan.bits_range[0] < plan.bits < plan.bits_range[1]
    PipelineConfiguration.model_validate(plan.config.model_dump())


def test_more_minutes_are_never_expected_to_be_worse() -> None:
    plans = [make_plan(CONFIG, NOVEL, seconds=60 * one, speed=0.5) for one in (1, 2, 4, 8, 16)]
    cautious = [one.bits * (1 + one.bits_error) for one in plans]
    assert cautious == sorted(cautious, reverse=True)


def test_a_pilot_moves_what_is_expected_and_narrows_its_range() -> None:
    piloted = replace(NOVEL, pilot=0.1)
    before, after = (describe_plan(CONFIG, facts, speed=0.5) for facts in (NOVEL, piloted))
    assert after.bits == pytest.approx(before.bits * math.exp(0.1))
    assert after.bits_error < before.bits_error
    assert after.seconds == before.seconds


def test_what_was_set_stays() -> None:
    config = CONFIG.change(d_model=320, tokenizer_vocab_size=5000, dropout=0.33)
    explicit = ("d_model", "tokenizer_vocab_size", "dropout")
    chosen = make_plan(config, NOVEL, seconds=600, speed=0.5, explicit=explicit).config.flatten()
    assert [chosen[name] for name in explicit] == [320, 5000, 0.33]
    everything = make_plan(config, NOVEL, seconds=600, speed=0.5, explicit=PLANNED).config
    assert everything == config


def test_when_nothing_is_fast_enough_the_fastest_plan_is_taken() -> None:
    plan = make_plan(CONFIG, NOVEL, seconds=1, speed=1.0)
    flat = plan.config.flatten()
    assert (flat["num_layers"], flat["d_model"], flat["num_epochs"]) == (1, 64, 1)


def test_a_plan_fits_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "estimate_run_memory_mb", lambda config: count_parameters(config) / 1000)
    free = make_plan(CONFIG, NOVEL, seconds=3600, speed=0.1)
    available_mb = 0.8 * free.memory_mb
    monkeypatch.setattr(planning, "measure_available_mb", lambda: available_mb)
    tight = make_plan(CONFIG, NOVEL, seconds=3600, speed=0.1)
    assert tight.memory_range[1] <= 0.9 * available_mb
    monkeypatch.setattr(planning, "measure_available_mb", lambda: 1.0)
    with pytest.raises(InvalidConfigError, match="no plan fits the memory"):
        make_plan(CONFIG, NOVEL, seconds=3600, speed=0.1)


def test_a_plan_fits_the_device() -> None:
    """Also the largest one that is ever chosen: 1 GB holds it."""
    largest = {name: max(CHOICES[name]) for name in ("tokenizer_vocab_size", "num_layers", "d_model")}
    config = CONFIG.change(**{name: int(value) for name, value in largest.items()}, num_heads=8)
    assert count_parameters(config) * 4 / 2**20 + planning.DEVICE_BASE_MB < 400


def test_vocabularies_suit_the_text() -> None:
    assert max(limit_pieces(NOVEL)) == 8000
    assert limit_pieces(TextFacts(20_000, 2_000, 90, 1.02, 2.3)) == (1000,)
    chinese = TextFacts(300_000, 30_000, 3000, 2.9, 2.3)
    assert min(limit_pieces(chinese)) > 256 + 3000
    rare = TextFacts(300_000, 30_000, 12_000, 2.9, 2.3)
    assert limit_pieces(rare)[0] > 12_000


def test_the_speed_is_the_measured_step_over_the_expected_one() -> None:
    fitted = read_fitted().speed
    shares = [CONFIG.change(sampled_output_fraction=share) for share in (1.0, 0.0)]
    sampled_s, full_s = (float(estimate_step_s(describe_design(one), fitted)[0]) for one in shares)
    assert full_s > 2 * sampled_s
    rehearsed = {"sampled_s": 2 * sampled_s, "full_s": 2 * full_s}
    for config in (CONFIG, *shares):
        assert compare_speed(config, rehearsed, fitted) == pytest.approx(2)


def test_a_machine_twice_as_slow_takes_longer() -> None:
    slow, fast = (describe_plan(CONFIG, NOVEL, speed=speed) for speed in (2.0, 1.0))
    overhead = planning.FIXED_S + planning.PER_MB_S * 0.445
    assert slow.seconds - overhead == pytest.approx(2 * (fast.seconds - overhead))
