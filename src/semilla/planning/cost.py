"""Seconds of a run: what a step costs by its shape, times how fast this machine makes a step of a known shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.split import VALIDATION_SHARE
from semilla.planning.law import Coefficients, Design, Numbers, describe_design

SAMPLED_PIECES = 704
"""Logits of each token in a step with sampled softmax: those of a group's targets and of its negative samples."""
EVALUATION_SHARE = 1 / 3
"""A forward pass takes a third of a step."""


def compare_speed(
    config: PipelineConfiguration, rehearsed: Mapping[str, float], coefficients: Coefficients
) -> float:
    """Seconds of this machine for a second of the machine that the cost was fitted on.

    ``rehearsed`` are the seconds of ``prerequisites.duration.rehearse_training`` for ``config``.
    """
    share = config.training_hyperparameters.sampled_output_fraction
    measured_s = share * rehearsed["sampled_s"] + (1 - share) * rehearsed["full_s"]
    return measured_s / float(estimate_step_s(describe_design(config), coefficients)[0])


def estimate_step_s(design: Design, coefficients: Coefficients) -> Numbers:
    """Seconds of an optimizer step on the reference machine, a mean of those with sampled and with full softmax.

    Products of matrices, attention, passes over memory for every token, and a share that does not depend on the tokens.
    """
    width = design.width
    scored = np.minimum(design.pieces, SAMPLED_PIECES)
    logits = design.sampled * scored + (1 - design.sampled) * design.pieces
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
