"""Estimates how long training will take: the number of steps times the duration of one, measured now."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.catalogue import expect_size_mb
from semilla.corpus.split import VALIDATION_SHARE
from semilla.errors import KilledError
from semilla.formatting import format_duration
from semilla.prerequisites.check import Check, advise, fail_check
from semilla.system.endings import ORDERS, name_ending
from semilla.tokenizer.size import suit_vocabulary

BYTES_PER_PIECE_AT_8000 = 3.9
"""UTF-8 bytes per token of English and Spanish books and of the embedded stories, with 8,000 pieces."""
VOCABULARY_EXPONENT = 0.16
"""With a quarter of the pieces, tokens are a fifth shorter (3.1 bytes at 2,000)."""
TIMEOUT_S = 120.0


def check_duration(config: PipelineConfiguration, *, train_bytes: int | None = None) -> Check:
    """Estimate the duration of training on this machine; ``train_bytes`` is the size of the text, if it is known.

    Another program may be busy at the moment, so no duration fails. A crash does: training would end like its trial.
    """
    steps, needed = count_steps(config, train_bytes=train_bytes), "as long as you can wait"
    try:
        seconds = estimate_training_s(config, rehearse_training(config), steps=steps)
        found = f"about {format_duration(seconds)} of training ({steps:,} steps)"
    except KilledError as error:
        found = f"{steps:,} steps of unknown duration"
        if error.next_command is None:
            return advise("duration", f"{error}, so its duration is unknown", found=found, needed=needed)
        return fail_check("duration", error, found=found, needed=needed)
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        found = f"{steps:,} steps of unknown duration"
    return advise("duration", None, found=found, needed=needed)


def count_steps(config: PipelineConfiguration, *, train_bytes: int | None = None) -> int:
    """Count the optimizer steps of all epochs, from the size of the text and the usual length of a token.

    Without ``train_bytes``, the size is the one that the configuration expects.
    """
    settings = config.training_hyperparameters
    if train_bytes is None:
        expected_bytes = 1e6 * expect_size_mb(config.corpus_source, config.corpus_size_mb)
        train_bytes = round((1 - VALIDATION_SHARE) * expected_bytes)
    num_pieces = suit_vocabulary(config, train_bytes=train_bytes)
    bytes_per_token = BYTES_PER_PIECE_AT_8000 * (num_pieces / 8000) ** VOCABULARY_EXPONENT
    tokens: float = train_bytes / bytes_per_token
    per_step = settings.batch_size * settings.max_sequence_length
    steps_per_epoch = max(1, round(tokens / per_step))
    return settings.num_epochs * steps_per_epoch


def estimate_training_s(
    config: PipelineConfiguration, rehearsed: Mapping[str, float], *, steps: int
) -> float:
    """Estimate the seconds for all steps and the evaluation after every epoch, from ``rehearse_training``."""
    share = config.training_hyperparameters.sampled_output_fraction
    step_s = share * rehearsed["sampled_s"] + (1 - share) * rehearsed["full_s"]
    evaluation_s = rehearsed["evaluation_s"] * VALIDATION_SHARE / (1 - VALIDATION_SHARE)
    return steps * (step_s + evaluation_s)


def rehearse_training(config: PipelineConfiguration) -> dict[str, float]:
    """Measure the figures of ``semilla.training.rehearsal.Rehearsal`` in a separate process.

    Raises KilledError when it or one of its workers was killed. After a crash, which the training would repeat, the
    error names a next command.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "semilla.training.rehearsal"],
            input=config.model_dump_json(),
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        if ending := name_ending(error.returncode) or _find_worker_ending(error.stderr):
            raise _explain_crash(config, ending) from error
        raise
    return {name: float(figure) for name, figure in json.loads(child.stdout).items()}


def _find_worker_ending(stderr: str) -> str | None:
    """What killed a worker of the rehearsal, which names it on its last line."""
    last = (stderr.splitlines() or [""])[-1]
    return last.rpartition(" ")[2] if last.startswith(f"{KilledError.category}: ") else None


def _explain_crash(config: PipelineConfiguration, ending: str) -> KilledError:
    if ending in ORDERS:
        return KilledError(f"a trial of the training was ended by {ending}")
    alone = config.training_hyperparameters.num_threads == 1
    return KilledError(
        f"a trial of the training crashed ({ending}), and the run would, too",
        next_command="semilla guide killed" if alone else to_command(config, num_threads=1),
    )
