"""The experiments at the ends of the chapters: a question to bet on, the run that answers it, and its figure.

Every figure is read from the records of runs, so neither torch nor the model is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semilla.errors import InvalidConfigError
from semilla.records import names
from semilla.records.metrics import EpochMetrics, read_metrics
from semilla.records.status import read_status

FIRST_RUN = (
    "semilla run --corpus-source sample --corpus-size-mb 1 --tokenizer-vocab-size 1000 --num-epochs 2"
    " --d-model 64 --num-heads 2 --dim-feedforward 128 --num-threads 1"
)
"""The run that chapter 1 makes; the experiments change one setting of it."""
CLOSE_SHARE = 0.1
"""A bet within this share of the measured figure is close."""


@dataclass(frozen=True)
class Run:
    """The records of a finished run that the experiments read."""

    epochs: tuple[EpochMetrics, ...]
    bits_per_byte: float
    peak_mb: float
    training: Mapping[str, Any]
    """Details of the training phase, such as ``num_parameters``."""


@dataclass(frozen=True)
class Check:
    """An experiment. ``runs`` has the directory of each run for ``measure``, and how it differs from the first."""

    question: str
    runs: Mapping[str, str]
    measure: Callable[..., float]
    unit: str
    digits: int = 2

    def write_command(self, directory: str) -> str:
        """The command that makes one of the runs."""
        flags = self.runs[directory]
        return f"{FIRST_RUN} {flags} --output-dir {directory}" if flags else FIRST_RUN


FIRST = {"data": ""}

CHECKS: dict[str, Check] = {
    "overview": Check(
        "How many bits per byte will your first run reach?",
        FIRST,
        lambda data: data.bits_per_byte,
        "bits per byte",
    ),
    "tokenization": Check(
        "How many bits per byte will the same model reach when its pieces are single characters?",
        {"letters": "--tokenizer-model-type char"},
        lambda letters: letters.bits_per_byte,
        "bits per byte",
    ),
    "model_initialization": Check(
        "How many parameters does the model have when input and output do not share a matrix?",
        {"untied": "--no-tie-embeddings"},
        lambda untied: float(untied.training["num_parameters"]),
        "parameters",
        0,
    ),
    "data_preparation": Check(
        "How many bits per byte does half the context save, with twice as many steps?",
        {**FIRST, "short": "--max-sequence-length 64"},
        lambda data, short: data.bits_per_byte - short.bits_per_byte,
        "bits per byte less",
    ),
    "training_loop": Check(
        "By how many nats is the training loss of the first epoch above the validation loss after it?",
        FIRST,
        lambda data: data.epochs[0].train_loss - data.epochs[0].validation_loss,
        "nats per token",
    ),
    "optimization": Check(
        "How many bits per byte does a third of the learning rate cost in so short a run?",
        {**FIRST, "slower": "--learning-rate 0.0003"},
        lambda data, slower: slower.bits_per_byte - data.bits_per_byte,
        "bits per byte more",
    ),
    "evaluation_and_checkpoints": Check(
        "By how many nats do the validation losses of two seeds differ?",
        {**FIRST, "other": "--seed 1"},
        lambda data, other: abs(data.epochs[-1].validation_loss - other.epochs[-1].validation_loss),
        "nats per token",
        3,
    ),
    "hyperparameters": Check(
        "How many bits per byte is a wide model better than a deep one?",
        {"deep": "--num-layers 4", "wide": "--d-model 96"},
        lambda deep, wide: deep.bits_per_byte - wide.bits_per_byte,
        "bits per byte less",
    ),
    "device": Check(
        "How many megabytes does the model need at most on a small machine when it is four times as wide?",
        {"large": "--d-model 256 --num-heads 8 --dim-feedforward 512"},
        lambda large: large.peak_mb,
        "MB at most",
        0,
    ),
}
"""The experiment of each chapter that ends with one."""


def measure(chapter: str, folder: Path) -> float:
    """Measure the figure of a chapter's experiment from the runs in ``folder``.

    Raises InvalidConfigError with the command of the run that is missing or not finished.
    """
    check = CHECKS[chapter]
    return check.measure(*(read_run(folder / name, chapter) for name in check.runs))


def read_run(directory: Path, chapter: str) -> Run:
    status = read_status(directory)
    if not status or not status.validation_results or not (directory / names.METRICS).is_file():
        command = CHECKS[chapter].write_command(directory.name)
        raise InvalidConfigError(f"there is no finished run in {directory}", next_command=command)
    results = status.validation_results
    return Run(
        epochs=tuple(read_metrics(directory / names.METRICS).epoch_history),
        bits_per_byte=results.bits_per_byte["all"],
        peak_mb=results.inference_metrics.peak_mb,
        training=status.phase_records["model_training"].details,
    )


def compare(check: Check, measured: float, *, bet: float | None) -> str:
    """Describe a figure, and how close a bet was."""
    figure = f"{measured:,.{check.digits}f} {check.unit}"
    if bet is None:
        return f"measured {figure}"
    difference = bet - measured
    if abs(difference) <= CLOSE_SHARE * abs(measured):
        verdict = "close"
    else:
        verdict = f"{abs(difference):,.{check.digits}f} too {'high' if difference > 0 else 'low'}"
    return f"your bet {bet:g}, measured {figure}: {verdict}"
