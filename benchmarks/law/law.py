"""The law of quality: bits per held-out byte from the text, the shape of the network and the training.

docs/experiments/2026-11-30-law-of-eleven-runs.md has its form, the runs it was fitted to and how far it is from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from text_facts import TextFacts

Numbers = npt.NDArray[np.float64]
Coefficients = Mapping[str, float]
MILLION = 1e6
FITTED = Path(__file__).parents[1] / "results" / "quality-law.json"


@dataclass(frozen=True)
class Design:
    """Hyperparameters of many runs: one number each, [N]. ``rate`` is the base learning rate."""

    pieces: Numbers
    layers: Numbers
    width: Numbers
    forward: Numbers
    context: Numbers
    batch: Numbers
    epochs: Numbers
    dropout: Numbers
    rate: Numbers

    @property
    def matrices(self) -> Numbers:
        """Parameters of the layers."""
        return self.layers * (4 * self.width**2 + 3 * self.width * self.forward)

    @property
    def parameters(self) -> Numbers:
        """Parameters of the layers and of one matrix of embeddings."""
        return self.matrices + self.pieces * self.width

    @property
    def tokens_per_step(self) -> Numbers:
        return self.batch * self.context

    def take(self, places: Any) -> Design:
        """The runs at these places."""
        return Design(**{one.name: getattr(self, one.name)[places] for one in fields(self)})


@cache
def read_coefficients() -> dict[str, Any]:
    """Everything that was fitted: ``law``, ``token``, ``speed``, their errors, and the ``range`` of the runs."""
    found: dict[str, Any] = json.loads(FITTED.read_text(encoding="utf-8"))
    return found


def count_bytes_per_token(facts: TextFacts, pieces: Numbers, coefficients: Coefficients) -> Numbers:
    """UTF-8 bytes per token of a unigram vocabulary: a power of its size and of the size of the text."""
    exponent = (
        coefficients["constant"]
        + coefficients["pieces"] * np.log(pieces / 1000)
        + coefficients["bytes"] * np.log(facts.train_bytes / MILLION)
    )
    found: Numbers = facts.bytes_per_character * np.exp(exponent)
    return found


def count_steps_per_epoch(design: Design, train_tokens: Numbers) -> Numbers:
    """Optimizer steps that read the training text once."""
    return np.maximum(1.0, np.ceil(train_tokens / design.tokens_per_step))


def find_best_rate(steps: Numbers, coefficients: Coefficients) -> Numbers:
    """The base learning rate that the law likes best for so many steps."""
    return np.exp(coefficients["rate_place"] + coefficients["rate_steps"] * np.log(steps / 1000))


def predict_bits(
    design: Design, *, train_tokens: Numbers, counted_bits: float | Numbers, coefficients: Coefficients
) -> Numbers:
    """Bits per held-out byte after the last step, in units of the text's own ``counted_bits``.

    The ratio falls with the size of the network and with the tokens seen, each as a power (Hoffmann et al. 2022,
    https://arxiv.org/abs/2203.15556). Passes over a text that a network can hold bring less and then harm, and dropout
    delays that.
    """
    one = coefficients
    steps = design.epochs * count_steps_per_epoch(design, train_tokens)
    size = np.log(design.parameters / MILLION)
    seen = np.log(steps * design.tokens_per_step / MILLION)
    seen = seen - one["batch"] * np.log(design.tokens_per_step / 2048)
    ratio = (
        np.exp(one["floor"])
        + np.exp(one["size"] - one["size_power"] * size)
        + np.exp(one["seen"] - one["seen_power"] * seen)
    )
    held = (
        np.log(design.epochs)
        + one["held_size"] * np.log(design.parameters / train_tokens)
        - one["held_place"]
        - one["held_dropout"] * design.dropout
    )
    rate = np.log(design.rate) - np.log(find_best_rate(steps, one))
    logarithm = (
        np.log(ratio)
        + one["overfit"] * np.logaddexp(0, held)
        + one["dropout"] * design.dropout
        + one["rate"] * rate**2
        + one["pieces"] * np.log(design.pieces / 1000)
        + one["context"] * np.log(design.context / 128)
    )
    found: Numbers = counted_bits * np.exp(logarithm)
    return found


def list_departures(facts: TextFacts, values: Mapping[str, float]) -> Iterator[str]:
    """Say where a run lies outside the runs that the law was fitted to. ``values`` are of ``range`` by name."""
    limits: dict[str, tuple[float, float]] = read_coefficients()["range"]
    for name, value in {**values, "train_bytes": facts.train_bytes}.items():
        low, high = limits[name]
        if not low <= value <= high:
            words = name.replace("_", " ")
            yield f"{words} {value:,.6g} (the law saw {low:,.6g} to {high:,.6g})"
