"""Advice on settings that are valid but unusual. None of it stops a run."""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings
from semilla.model.shape import count_parameters, measure_weights_mb
from semilla.prerequisites.check import Check, advise
from semilla.system.processor import count_cores

USUAL_CORPUS_MB = (1, 100)
LARGE_BATCH = 64


def check_shape(config: PipelineConfiguration) -> Check:
    """Report the size of the model."""
    found = f"{count_parameters(config):,} parameters, {measure_weights_mb(config):.1f} MB of weights"
    return advise("parameters", None, found=found, needed="")


def check_corpus_size(config: PipelineConfiguration) -> Check:
    low, high = USUAL_CORPUS_MB
    advice = None
    if not low <= config.corpus_size_mb <= high:
        advice = f"corpus_size_mb = {config.corpus_size_mb} is outside the usual {low} to {high} MB"
    found = f"{config.corpus_size_mb} MB expected"
    return advise("corpus_size", advice, found=found, needed=f"usually {low} to {high} MB")


def check_threads(config: PipelineConfiguration) -> Check:
    num_threads, num_cores = config.training_hyperparameters.num_threads, count_cores()
    advice = None
    if num_threads > num_cores:
        advice = (
            f"num_threads = {num_threads} on {num_cores} processor{'s' * (num_cores > 1)}: they wait for each other, "
            f"and training may be many times slower; use {num_cores}, or 0 for one thread per processor"
        )
    return advise("threads", advice, found=f"{num_threads or num_cores}", needed=f"at most {num_cores}")


def check_learning_rate(config: PipelineConfiguration) -> Check:
    settings, usual = config.training_hyperparameters, list_settings()["learning_rate"].default
    advice = None
    if settings.batch_size > LARGE_BATCH and settings.learning_rate > usual:
        advice = (
            f"learning_rate = {settings.learning_rate:g} is high for batch_size = {settings.batch_size}: "
            f"larger batches usually need a lower rate; the default is {usual:g}"
        )
    found = f"{settings.learning_rate:g} with batches of {settings.batch_size}"
    return advise(
        "learning_rate", advice, found=found, needed=f"at most {usual:g} above batches of {LARGE_BATCH}"
    )
