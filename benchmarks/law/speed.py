"""Seconds of a run: what a step costs by its shape, times how fast this machine makes a step of a known shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from law import Coefficients, Design, Numbers

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.split import VALIDATION_SHARE
from semilla.prerequisites.duration import rehearse_training

SAMPLED_PIECES = 704
"""Logits of each token in a step with sampled softmax: those of a group's targets and of its negative samples."""
EVALUATION_SHARE = 1 / 3
"""A forward pass takes a third of a step."""


@dataclass(frozen=True)
class Speed:
    """Seconds of this machine for a second of the machine that the cost was fitted on."""

    factor: float
    is_measured: bool = True


def measure_speed(config: PipelineConfiguration, coefficients: Coefficients) -> Speed:
    """Time a few training steps of ``config`` in a separate process, which takes about five seconds.

    Raises KilledError, OSError, ValueError or SubprocessError when the trial fails.
    """
    return compare_speed(config, rehearse_training(config), coefficients)


def compare_speed(
    config: PipelineConfiguration, rehearsed: Mapping[str, float], coefficients: Coefficients
) -> Speed:
    """The speed that follows from the seconds of the two kinds of step."""
    design = describe_design(config)
    expected_s = estimate_step_s(design, coefficients)
    share = config.training_hyperparameters.sampled_output_fraction
    measured_s = share * rehearsed["sampled_s"] + (1 - share) * rehearsed["full_s"]
    return Speed(measured_s / float(expected_s))


def describe_design(config: PipelineConfiguration) -> Design:
    """The configuration's hyperparameters as numbers."""
    shape, settings = config.model_architecture, config.training_hyperparameters
    return Design(
        pieces=np.array(config.tokenizer_vocab_size, dtype=np.float64),
        layers=np.array(shape.num_layers, dtype=np.float64),
        width=np.array(shape.d_model, dtype=np.float64),
        forward=np.array(shape.dim_feedforward, dtype=np.float64),
        context=np.array(settings.max_sequence_length, dtype=np.float64),
        batch=np.array(settings.batch_size, dtype=np.float64),
        epochs=np.array(settings.num_epochs, dtype=np.float64),
        dropout=np.array(settings.dropout, dtype=np.float64),
        rate=np.array(settings.learning_rate, dtype=np.float64),
    )


def estimate_step_s(design: Design, coefficients: Coefficients) -> Numbers:
    """Seconds of an optimizer step on the reference machine, nine in ten of them with sampled softmax.

    Products of matrices, attention, passes over memory for every token, and a share that does not depend on the tokens.
    """
    width = design.width
    logits = 0.9 * np.minimum(design.pieces, SAMPLED_PIECES) + 0.1 * design.pieces
    per_token = (
        coefficients["products"] * 6 * (design.matrices + logits * width)
        + coefficients["attention"] * 12 * design.layers * width * design.context
        + coefficients["memory"] * design.layers * (width + design.forward)
    )
    per_step = coefficients["step"] * design.layers + coefficients["update"] * design.parameters
    return per_token * design.tokens_per_step + per_step


def estimate_training_s(design: Design, *, steps: Numbers, coefficients: Coefficients) -> Numbers:
    """Seconds of all steps and of the evaluation after every epoch, on the reference machine."""
    evaluation = EVALUATION_SHARE * VALIDATION_SHARE / (1 - VALIDATION_SHARE)
    return steps * estimate_step_s(design, coefficients) * (1 + evaluation)
