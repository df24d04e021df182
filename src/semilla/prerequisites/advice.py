"""Settings that are allowed but rarely meant; none of these stops a run."""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings
from semilla.model.shape import count_parameters, measure_weights_mb
from semilla.prerequisites.check import Check, advise, pass_check

USUAL_CORPUS_MB = (1, 100)
LARGE_BATCH = 64


def check_shape(config: PipelineConfiguration) -> Check:
    """Tell how large the model will be; every valid shape is fine."""
    found = f"{count_parameters(config):,} parameters, {measure_weights_mb(config):.1f} MB of weights"
    return pass_check("parameters", found=found, needed="", required=False)


def check_corpus_size(config: PipelineConfiguration) -> Check:
    low, high = USUAL_CORPUS_MB
    found, needed = f"{config.corpus_size_mb} MB expected", f"usually {low} to {high} MB"
    if low <= config.corpus_size_mb <= high:
        return pass_check("corpus_size", found=found, needed=needed, required=False)
    advice = f"corpus_size_mb = {config.corpus_size_mb} is outside the usual {low} to {high} MB"
    return advise("corpus_size", advice, found=found, needed=needed)


def check_learning_rate(config: PipelineConfiguration) -> Check:
    settings, usual = config.training_hyperparameters, list_settings()["learning_rate"].default
    found = f"{settings.learning_rate:g} with batches of {settings.batch_size}"
    needed = f"at most {usual:g} above batches of {LARGE_BATCH}"
    if settings.batch_size <= LARGE_BATCH or settings.learning_rate <= usual:
        return pass_check("learning_rate", found=found, needed=needed, required=False)
    advice = (
        f"learning_rate = {settings.learning_rate:g} is high for batch_size = {settings.batch_size}: "
        f"larger batches usually want a lower rate; the default is {usual:g}"
    )
    return advise("learning_rate", advice, found=found, needed=needed)
