"""Choose the hyperparameters: of everything that fits the time and the memory, what the law expects to be best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from law import (
    Design,
    Numbers,
    count_bytes_per_token,
    count_steps_per_epoch,
    find_best_rate,
    list_departures,
    predict_bits,
    read_coefficients,
)
from speed import Speed, describe_design, estimate_training_s
from text_facts import TextFacts

from semilla.configuration.schema import PipelineConfiguration, find_head_mistake
from semilla.configuration.settings import list_settings
from semilla.errors import InvalidConfigError
from semilla.model.shape import PARAMETER_BYTES
from semilla.runtime.budgets import BUDGETS
from semilla.system.memory import measure_available_mb
from semilla.training.memory import ESTIMATE_ERROR, estimate_run_memory_mb

CHOICES: dict[str, tuple[float, ...]] = {
    "tokenizer_vocab_size": (1000, 1500, 2000, 3000, 4000, 6000, 8000),
    "num_layers": (1, 2, 3, 4),
    "d_model": (64, 96, 128, 192, 256),
    "dim_feedforward": (2, 4),
    "max_sequence_length": (64, 128),
    "batch_size": (8, 16, 32),
    "num_epochs": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40),
    "dropout": (0.1, 0.2, 0.3, 0.4, 0.5),
}
"""What is tried of each setting, unless the user set it; of ``dim_feedforward`` multiples of the width."""
NAMES = dict(
    zip((one.name for one in fields(Design)), (*CHOICES, "learning_rate"), strict=True)  # in the same order
)
"""Field of a design -> setting."""
HEAD_WIDTH = 32
PER_PIECE_BYTES = 50
"""Training bytes for each piece of a vocabulary, at least: a smaller text may not support it."""
SPARE_PIECES = 1.5
"""Pieces for each different character, beside the 256 of bytes, at least."""
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


MOST_TRIED = 500
"""Plans whose memory is estimated, the best first; if none fits, the smallest network is the last one tried."""


@dataclass(frozen=True)
class Plan:
    """What was chosen, and what is expected of it."""

    config: PipelineConfiguration
    minutes: float
    bits: float
    seconds: float
    memory_mb: float
    loss: float
    """Nats per token."""
    departures: tuple[str, ...]
    """Where it lies outside the runs that the law was fitted to."""

    @property
    def bits_range(self) -> tuple[float, float]:
        """Bits per byte, 9 times in 10 for a text that the fit did not see; twice as wide outside its runs."""
        error = read_coefficients()["errors"]["bits"] * (2 if self.departures else 1)
        return self.bits * math.exp(-error), self.bits * math.exp(error)

    @property
    def seconds_range(self) -> tuple[float, float]:
        error = read_coefficients()["errors"]["seconds"]
        return self.seconds * math.exp(-error), self.seconds * math.exp(error)

    @property
    def memory_range(self) -> tuple[float, float]:
        return self.memory_mb * (1 - ESTIMATE_ERROR), self.memory_mb * (1 + ESTIMATE_ERROR)


def make_plan(
    config: PipelineConfiguration,
    facts: TextFacts,
    *,
    minutes: float,
    speed: Speed,
    explicit: Collection[str] = (),
) -> Plan:
    """Choose every hyperparameter that is not in ``explicit`` for a run of ``minutes`` in all.

    Raises InvalidConfigError when nothing fits the memory. When nothing fits the time, the plan is the fastest, and
    takes longer.
    """
    design, heads = list_designs(config, facts, explicit=explicit)
    outcome = expect(design, facts, speed=speed)
    if "learning_rate" not in explicit:
        design = outcome.design
    order = _rank(config, outcome, minutes=minutes)
    budget_mb = measure_available_mb() * (1 - RESERVE)
    size = design.parameters + design.tokens_per_step * design.width * design.layers
    smallest = int(np.argmin(size))
    for place in (*order, smallest):
        chosen = apply(config, design, heads, place, explicit=explicit)
        memory_mb = estimate_run_memory_mb(chosen)
        if memory_mb * (1 + ESTIMATE_ERROR) <= budget_mb:
            return describe_plan(chosen, facts, minutes=minutes, speed=speed)
    raise InvalidConfigError(
        f"no plan fits the memory: {budget_mb:,.0f} MB are available (10 % kept free)",
        next_command="semilla check",
    )


def describe_plan(config: PipelineConfiguration, facts: TextFacts, *, minutes: float, speed: Speed) -> Plan:
    """What is expected of a configuration as it is."""
    outcome = expect(describe_design(config), facts, speed=speed, keeps_rate=True)
    values = {
        "tokenizer_vocab_size": config.tokenizer_vocab_size,
        **config.model_architecture.model_dump(include={"num_layers", "d_model"}),
        **config.training_hyperparameters.model_dump(
            include={"num_epochs", "max_sequence_length", "batch_size", "dropout"}
        ),
        "training_tokens": float(outcome.tokens_seen),
    }
    return Plan(
        config,
        minutes,
        float(outcome.bits),
        float(outcome.seconds),
        estimate_run_memory_mb(config),
        float(outcome.loss),
        tuple(list_departures(facts, values)),
    )


@dataclass(frozen=True)
class Outcome:
    """What is expected of designs: bits per byte, nats per token, seconds of the whole run, tokens seen, [N] each."""

    design: Design
    bits: Numbers
    loss: Numbers
    seconds: Numbers
    tokens_seen: Numbers


def expect(design: Design, facts: TextFacts, *, speed: Speed, keeps_rate: bool = False) -> Outcome:
    """Predict the outcome of every design; unless ``keeps_rate``, with the rate that the law likes best."""
    fitted = read_coefficients()
    bytes_per_token = count_bytes_per_token(facts, design.pieces, fitted["token"])
    train_tokens = facts.train_bytes / bytes_per_token
    steps = design.epochs * count_steps_per_epoch(design, train_tokens)
    if not keeps_rate:
        low, high = fitted["range"]["learning_rate"]
        rate = np.clip(find_best_rate(steps, fitted["law"]), low, high)
        design = Design(**{**vars(design), "rate": rate})
    bits = predict_bits(
        design, train_tokens=train_tokens, counted_bits=facts.counted_bits, coefficients=fitted["law"]
    )
    training_s = speed.factor * estimate_training_s(design, steps=steps, coefficients=fitted["speed"])
    size_mb = (facts.train_bytes + facts.held_out_bytes) / 1e6
    return Outcome(
        design,
        bits,
        bits * math.log(2) * bytes_per_token,
        training_s + FIXED_S + PER_MB_S * size_mb,
        steps * design.tokens_per_step,
    )


def list_designs(
    config: PipelineConfiguration, facts: TextFacts, *, explicit: Collection[str]
) -> tuple[Design, Numbers]:
    """Every combination of what may be chosen and what is set, and the heads of each."""
    flat = config.flatten()
    tried = {name: (flat[name],) if name in explicit else values for name, values in CHOICES.items()}
    if "tokenizer_vocab_size" not in explicit:
        tried["tokenizer_vocab_size"] = _limit_pieces(facts) or (flat["tokenizer_vocab_size"],)
    rows = [
        (pieces, layers, width, forward, context, batch, epochs, dropout, flat["learning_rate"], heads)
        for width in tried["d_model"]
        for heads in _list_heads(flat, int(width), explicit=explicit)
        for forward in _list_forward(tried["dim_feedforward"], width, is_set="dim_feedforward" in explicit)
        for pieces, layers, context, batch, epochs, dropout in itertools.product(
            *(
                tried[name]
                for name in (
                    "tokenizer_vocab_size", "num_layers", "max_sequence_length", "batch_size", "num_epochs", "dropout"
                )
            )
        )
    ]  # fmt: skip
    *columns, heads = np.array(rows, dtype=np.float64).T
    return Design(*columns), heads


def _limit_pieces(facts: TextFacts) -> tuple[float, ...]:
    """Vocabularies that the text supports, and that have room for its characters."""
    sizes = CHOICES["tokenizer_vocab_size"]
    fewest = 256 + SPARE_PIECES * facts.num_kinds
    most = max(min(sizes), facts.train_bytes / PER_PIECE_BYTES)
    found = tuple(size for size in sizes if fewest <= size <= max(most, fewest * 1.5))
    limits = list_settings()["tokenizer_vocab_size"]
    assert limits.maximum is not None
    return found or ((math.ceil(min(fewest, limits.maximum) / 500) * 500,) if fewest > max(sizes) else ())


def _list_heads(flat: dict[str, Any], width: int, *, explicit: Collection[str]) -> Iterator[int]:
    heads = flat["num_heads"] if "num_heads" in explicit else max(1, width // HEAD_WIDTH)
    while "num_heads" not in explicit and find_head_mistake(width, heads):
        heads -= 1
    if not find_head_mistake(width, heads):
        yield heads


def _list_forward(values: Collection[float], width: float, *, is_set: bool) -> Iterator[float]:
    yield from values if is_set else (max(128.0, multiple * width) for multiple in values)


def _rank(config: PipelineConfiguration, outcome: Outcome, *, minutes: float) -> list[int]:
    """The places of the designs, best first: within time, gates and device; a plan that is faster wins a tie."""
    is_slow = outcome.seconds > FILL * 60 * minutes
    misses = outcome.loss > config.max_validation_loss - MARGIN_LOSS
    device_mb = DEVICE_BASE_MB + outcome.design.parameters * PARAMETER_BYTES / 2**20
    is_heavy = device_mb > BUDGETS["rss_mb"]
    hurry = np.where(is_slow, outcome.seconds, 0.0)
    order = np.lexsort((outcome.seconds, np.round(outcome.bits, 3), misses, hurry, is_heavy))
    return [int(place) for place in order[:MOST_TRIED]]


def apply(
    config: PipelineConfiguration, design: Design, heads: Numbers, place: int, *, explicit: Collection[str]
) -> PipelineConfiguration:
    """The configuration with the values of one design."""
    one = design.take(place)
    values: dict[str, Any] = {setting: getattr(one, name) for name, setting in NAMES.items()}
    values["num_heads"] = heads[place]
    settings = list_settings()
    clean = {
        name: float(f"{value:.3g}") if settings[name].kind == "number" else round(value)
        for name, value in values.items()
        if name not in explicit
    }
    groups: dict[str, Any] = {}
    for group in ("model_architecture", "training_hyperparameters"):
        inner = {name: value for name, value in clean.items() if settings[name].group == group}
        groups[group] = getattr(config, group).model_copy(update=inner)
    top = {name: value for name, value in clean.items() if settings[name].group is None}
    return config.model_copy(update={**top, **groups})
