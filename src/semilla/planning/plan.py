"""Choose the hyperparameters: the best that can be expected within the time, the memory and the device."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from semilla.configuration.schema import Group, PipelineConfiguration, find_head_mistake
from semilla.configuration.settings import list_settings
from semilla.errors import InvalidConfigError
from semilla.model.shape import PARAMETER_BYTES
from semilla.planning.cost import estimate_training_s
from semilla.planning.law import (
    SETTINGS,
    Design,
    Numbers,
    count_bytes_per_token,
    count_steps_per_epoch,
    describe_design,
    find_best_rate,
    predict_bits,
    predict_error,
    read_fitted,
)
from semilla.planning.text_facts import TextFacts
from semilla.runtime.budgets import BUDGETS
from semilla.system.memory import measure_available_mb
from semilla.tokenizer.size import count_least_pieces
from semilla.training.memory import ESTIMATE_ERROR, estimate_run_memory_mb

G = TypeVar("G", bound=Group)
CHOICES: dict[str, tuple[float, ...]] = {
    "tokenizer_vocab_size": (1000, 1500, 2000, 3000, 4000, 6000, 8000),
    "num_layers": (1, 2, 3, 4),
    "d_model": (64, 96, 128, 192, 256),
    "dim_feedforward": (2, 4),
    "max_sequence_length": (128, 256),
    "batch_size": (8, 16, 32),
    "num_epochs": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40),
    "dropout": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
}
"""What is tried of each setting, unless the user set it; of ``dim_feedforward`` multiples of the width."""
PLANNED = (*CHOICES, "num_heads", "learning_rate", "weight_decay", "early_stopping")
"""The settings that a plan chooses."""
RATES = (2.5e-4, 1.5e-3)
"""Learning rates of the runs that the law was fitted to."""
HEAD_WIDTH = 32
WEIGHT_DECAY = 0.3
"""Better than the default for texts that are read many times."""
PATIENCE = 2
"""Early stopping: epochs without a better validation loss."""
PER_PIECE_BYTES = 40
"""Training bytes for each piece of a vocabulary, at least: a smaller text does not support it."""
RESERVE = 0.10
"""Share of the available memory that is left for the rest of the machine."""
DEVICE_BASE_MB = 80.0
"""The runtime on the small machine without a model: measured 68 MB with one of 1.4 MB."""
MARGIN_LOSS = 0.3
"""Nats per token that the expected loss stays below the gate ``max_validation_loss``."""
FIXED_S, PER_MB_S = 20.0, 1.3
"""What a run takes beside training and its evaluations, and that for every MB of text: 24 s for the three default books
(docs/experiments/2026-11-29-three-books-20-epochs.md)."""
FILL = 0.95
"""Share of the time that is planned for."""
MOST_COMPARED = 4000
"""Designs whose errors are compared, the best first."""
MOST_TRIED = 500
"""Plans whose memory is estimated, the best first; if none fits, the smallest network is the last one tried."""
NINE_IN_TEN = 1.645
"""Deviations within which nine in ten values of a normal distribution lie."""


@dataclass(frozen=True)
class Plan:
    """A configuration and what is expected of it; ``error`` are deviations of logarithms."""

    config: PipelineConfiguration
    bits: float
    """Per held-out byte."""
    bits_error: float
    seconds: float
    """Of the whole run."""
    training_s: float
    seconds_error: float
    memory_mb: float

    @property
    def bits_range(self) -> tuple[float, float]:
        """Nine in ten texts."""
        return _spread(self.bits, self.bits_error)

    @property
    def seconds_range(self) -> tuple[float, float]:
        """Nine in ten runs on a machine that stays as busy as it is."""
        return _spread(self.seconds, self.seconds_error)

    @property
    def memory_range(self) -> tuple[float, float]:
        return self.memory_mb * (1 - ESTIMATE_ERROR), self.memory_mb * (1 + ESTIMATE_ERROR)


@dataclass(frozen=True)
class Outcome:
    """What is expected of designs, [N] each: bits per byte, nats per token, seconds of the run and of its training."""

    design: Design
    bits: Numbers
    loss: Numbers
    seconds: Numbers
    training_s: Numbers


def make_plan(
    config: PipelineConfiguration,
    facts: TextFacts,
    *,
    seconds: float,
    speed: float,
    explicit: Collection[str] = (),
) -> Plan:
    """Choose every hyperparameter that is not in ``explicit`` for a run of ``seconds`` in all.

    ``speed`` is that of ``cost.compare_speed``. When nothing fits the time, the plan is the fastest, and takes longer.
    Raises InvalidConfigError when nothing fits the memory.
    """
    design, heads = list_designs(config, facts, explicit=explicit)
    outcome = expect(design, facts, speed=speed, keeps_rate="learning_rate" in explicit)
    design = outcome.design
    order = rank(outcome, facts, seconds=seconds, max_loss=config.max_validation_loss)
    budget_mb = measure_available_mb() * (1 - RESERVE)
    smallest = int(np.argmin(design.parameters + design.tokens_per_step * design.width * design.layers))
    for place in (*order, smallest):
        chosen = apply(config, design, heads, place, explicit=explicit)
        if estimate_run_memory_mb(chosen) * (1 + ESTIMATE_ERROR) <= budget_mb:
            return describe_plan(chosen, facts, speed=speed)
    raise InvalidConfigError(
        f"no plan fits the memory: {budget_mb:,.0f} MB are available (10 % kept free)",
        next_command="semilla check",
    )


def describe_plan(config: PipelineConfiguration, facts: TextFacts, *, speed: float) -> Plan:
    """What is expected of a configuration as it is."""
    outcome, fitted = expect(describe_design(config), facts, speed=speed, keeps_rate=True), read_fitted()
    text_error = fitted.text_error if facts.pilot is None else fitted.pilot_error
    return Plan(
        config,
        bits=float(outcome.bits[0]),
        bits_error=math.hypot(float(find_error(outcome.design, facts)[0]), text_error),
        seconds=float(outcome.seconds[0]),
        training_s=float(outcome.training_s[0]),
        seconds_error=fitted.speed_error,
        memory_mb=estimate_run_memory_mb(config),
    )


def expect(design: Design, facts: TextFacts, *, speed: float, keeps_rate: bool) -> Outcome:
    """Predict the outcome of every design; unless ``keeps_rate``, with the rate that the law likes best."""
    fitted = read_fitted()
    bytes_per_token = count_bytes_per_token(facts, design.pieces, fitted.token)
    train_tokens = facts.train_bytes / bytes_per_token
    steps = design.epochs * count_steps_per_epoch(design, train_tokens)
    if not keeps_rate:
        rate = np.clip(find_best_rate(steps, fitted.law), *RATES)
        design = Design(**{**vars(design), "rate": rate})
    bits = predict_bits(
        design, train_tokens=train_tokens, counted_bits=facts.counted_bits, coefficients=fitted.law
    ) * math.exp(facts.pilot or 0.0)
    training_s = speed * estimate_training_s(design, steps=steps, coefficients=fitted.speed)
    size_mb = (facts.train_bytes + facts.held_out_bytes) / 1e6
    loss = bits * math.log(2) * bytes_per_token
    return Outcome(design, bits, loss, training_s + FIXED_S + PER_MB_S * size_mb, training_s)


def find_error(design: Design, facts: TextFacts) -> Numbers:
    """The deviation of the logarithm of every design's bits that is not the text's own."""
    fitted = read_fitted()
    train_tokens = facts.train_bytes / count_bytes_per_token(facts, design.pieces, fitted.token)
    return predict_error(design, train_tokens=train_tokens, counted_bits=facts.counted_bits, fitted=fitted)


def rank(outcome: Outcome, facts: TextFacts, *, seconds: float, max_loss: float) -> list[int]:
    """The places of the best designs, best first: within time, gates and device; a plan that is faster wins a tie.

    Their bits count with one error added. A search among many designs would otherwise take the one whose prediction
    errs most in its favour.
    """
    is_slow = outcome.seconds > FILL * seconds
    misses = outcome.loss > max_loss - MARGIN_LOSS
    device_mb = DEVICE_BASE_MB + outcome.design.parameters * PARAMETER_BYTES / 2**20
    is_heavy = device_mb > BUDGETS["rss_mb"]
    hurry = np.where(is_slow, outcome.seconds, 0.0)
    conditions = np.stack([outcome.seconds, outcome.bits, misses, hurry, is_heavy])
    best = np.lexsort(conditions)[:MOST_COMPARED]
    conditions = conditions[:, best]
    conditions[1] *= np.exp(find_error(outcome.design.take(best), facts))
    return [int(best[place]) for place in np.lexsort(conditions)[:MOST_TRIED]]


def list_designs(
    config: PipelineConfiguration, facts: TextFacts, *, explicit: Collection[str]
) -> tuple[Design, Numbers]:
    """Every combination of what may be chosen and what is set, and the heads of each."""
    flat = config.flatten()
    tried = {name: (flat[name],) if name in explicit else values for name, values in CHOICES.items()}
    if "tokenizer_vocab_size" not in explicit:
        tried["tokenizer_vocab_size"] = limit_pieces(facts)
    fixed = (flat["learning_rate"], flat["sampled_output_fraction"])
    rows = [
        (pieces, layers, width, forward, context, batch, epochs, dropout, *fixed, heads)
        for width in tried["d_model"]
        for heads in _list_heads(flat, int(width), explicit=explicit)
        for forward in _list_forward(tried["dim_feedforward"], width, is_set="dim_feedforward" in explicit)
        for pieces, layers, context, batch, epochs, dropout in itertools.product(
            tried["tokenizer_vocab_size"],
            tried["num_layers"],
            tried["max_sequence_length"],
            tried["batch_size"],
            tried["num_epochs"],
            tried["dropout"],
        )
    ]
    *columns, heads = np.array(rows, dtype=np.float64).T
    return Design(*columns), heads


def limit_pieces(facts: TextFacts) -> tuple[float, ...]:
    """Vocabularies that the text supports, and that have room for its characters."""
    sizes = CHOICES["tokenizer_vocab_size"]
    fewest = count_least_pieces(facts.num_kinds)
    most = max(min(sizes), facts.train_bytes / PER_PIECE_BYTES)
    found = tuple(size for size in sizes if fewest <= size <= max(most, fewest * 1.5))
    largest = list_settings()["tokenizer_vocab_size"].maximum
    assert largest is not None
    return found or (min(largest, math.ceil(max(fewest, min(sizes)) / 500) * 500),)


def apply(
    config: PipelineConfiguration, design: Design, heads: Numbers, place: int, *, explicit: Collection[str]
) -> PipelineConfiguration:
    """The configuration with the values of one design."""
    one = design.take(place)
    values: dict[str, Any] = {setting: getattr(one, name) for name, setting in SETTINGS.items()}
    values |= {"num_heads": heads[place], "weight_decay": WEIGHT_DECAY, "early_stopping": PATIENCE}
    settings = list_settings()
    return config.change(
        **{
            name: float(f"{value:.3g}") if settings[name].kind == "number" else round(value)
            for name, value in values.items()
            if name not in explicit
        }
    )


def _list_heads(flat: dict[str, Any], width: int, *, explicit: Collection[str]) -> Iterator[int]:
    heads = flat["num_heads"] if "num_heads" in explicit else max(1, width // HEAD_WIDTH)
    while "num_heads" not in explicit and find_head_mistake(width, heads):
        heads -= 1
    if not find_head_mistake(width, heads):
        yield heads


def _list_forward(values: Collection[float], width: float, *, is_set: bool) -> Iterator[float]:
    yield from values if is_set else (max(128.0, multiple * width) for multiple in values)


def _spread(value: float, error: float) -> tuple[float, float]:
    return value * math.exp(-NINE_IN_TEN * error), value * math.exp(NINE_IN_TEN * error)
