"""The law of quality: bits per held-out byte from the text, the shape of the network and the training.

``law.json`` has its coefficients. The experiments page "A law of quality" has its form and the runs it was fitted to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from semilla.configuration.schema import PipelineConfiguration
from semilla.planning.text_facts import TextFacts

Numbers = npt.NDArray[np.float64]
Coefficients = Mapping[str, float]
MILLION = 1e6
USUAL_RATE = 5e-4
STEP = 1e-3
"""By which a coefficient is changed for a numerical derivative."""


@dataclass(frozen=True)
class Design:
    """Hyperparameters of many runs: one number each, [N].

    ``rate`` is the base learning rate, ``sampled`` the share of the steps with sampled softmax.
    """

    pieces: Numbers
    layers: Numbers
    width: Numbers
    forward: Numbers
    context: Numbers
    batch: Numbers
    epochs: Numbers
    dropout: Numbers
    rate: Numbers
    sampled: Numbers

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


SETTINGS = {
    "pieces": "tokenizer_vocab_size", "layers": "num_layers", "width": "d_model", "forward": "dim_feedforward",
    "context": "max_sequence_length", "batch": "batch_size", "epochs": "num_epochs", "dropout": "dropout",
    "rate": "learning_rate",
}  # fmt: skip
"""Field of a design -> setting."""


@dataclass(frozen=True)
class Fitted:
    """Everything that was fitted to the recorded runs."""

    law: Coefficients
    covariance: Numbers
    """Of the coefficients of ``law``, [C, C]: what the runs leave undetermined."""
    text_error: float
    """Deviation of the logarithm of a text's bits per byte from the law, which no hyperparameter explains."""
    pilot_error: float
    """The same after a pilot."""
    token: Coefficients
    speed: Coefficients
    speed_error: float
    """Deviation of the logarithm of a run's seconds."""


@cache
def read_fitted() -> Fitted:
    """The coefficients that come with the package."""
    content = json.loads(resources.files("semilla.planning").joinpath("law.json").read_text(encoding="utf-8"))
    errors = content["errors"]
    return Fitted(
        content["law"],
        np.array(content["covariance"]),
        errors["text"],
        errors["pilot"],
        content["token"],
        content["speed"],
        errors["seconds"],
    )


def describe_design(config: PipelineConfiguration) -> Design:
    """The configuration's hyperparameters as numbers, one run."""
    flat = config.flatten()
    settings = {**SETTINGS, "sampled": "sampled_output_fraction"}
    return Design(**{name: np.array([flat[setting]], dtype=np.float64) for name, setting in settings.items()})


def count_bytes_per_token(facts: TextFacts, pieces: Numbers, coefficients: Coefficients) -> Numbers:
    """UTF-8 bytes per token of a unigram vocabulary: a power of its size and of the size of the text."""
    exponent = (
        coefficients["constant"]
        + coefficients["pieces"] * np.log(pieces / 1000)
        + coefficients["bytes"] * np.log(facts.train_bytes / MILLION)
        + coefficients["bits"] * np.log(facts.counted_bits)
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
    """Bits per held-out byte after the last step, in proportion to a power of the text's own ``counted_bits``.

    The ratio falls with the size of the network and with the tokens seen, each as a power (Hoffmann et al. 2022,
    https://arxiv.org/abs/2203.15556). Passes over a text that a network can hold bring less and then harm: sooner with
    small batches and high rates, later with dropout.
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
        - one["held_batch"] * np.log(design.tokens_per_step / 2048)
        + one["held_rate"] * np.log(design.rate / USUAL_RATE)
    )
    rate = np.log(design.rate) - np.log(find_best_rate(steps, one))
    logarithm = (
        np.log(ratio)
        + one["overfit"] * np.logaddexp(0, held)
        + one["dropout"] * design.dropout
        + one["rate"] * rate**2
        + one["pieces"] * np.log(design.pieces / 1000)
        + one["context"] * np.log(design.context / 128)
        + one["text"] * np.log(train_tokens / MILLION)
    )
    found: Numbers = counted_bits ** one["counted"] * np.exp(logarithm)
    return found


def predict_error(
    design: Design, *, train_tokens: Numbers, counted_bits: float | Numbers, fitted: Fitted
) -> Numbers:
    """The deviation of the logarithm of ``predict_bits`` that the coefficients' covariance gives each design, [N]."""
    slopes = [
        np.log(
            predict_bits(
                design,
                train_tokens=train_tokens,
                counted_bits=counted_bits,
                coefficients={**fitted.law, name: fitted.law[name] + sign * STEP},
            )
        )
        for name in fitted.law
        for sign in (1, -1)
    ]
    jacobian = np.stack(
        [(up - down) / (2 * STEP) for up, down in zip(slopes[::2], slopes[1::2], strict=True)]
    )
    found: Numbers = np.sqrt(np.einsum("an,ab,bn->n", jacobian, fitted.covariance, jacobian))
    return found
