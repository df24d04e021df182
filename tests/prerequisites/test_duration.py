import json
import subprocess
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.prerequisites import duration
from semilla.prerequisites.duration import check_duration, count_steps, estimate_training_s, rehearse_training

SMALL = PipelineConfiguration.model_validate(
    {
        "corpus_source": "sample",
        "corpus_size_mb": 1,
        "tokenizer_vocab_size": 1000,
        "model_architecture": {"num_layers": 1, "d_model": 64, "num_heads": 2, "dim_feedforward": 128},
        "training_hyperparameters": {"batch_size": 4, "max_sequence_length": 32, "num_epochs": 2},
    }
)


def test_the_default_run_has_as_many_steps_as_were_counted() -> None:
    """The three books make 165 steps an epoch, the embedded stories 178."""
    books = count_steps(PipelineConfiguration()) / 20
    assert books == pytest.approx(165, rel=0.1)
    assert books == pytest.approx(178, rel=0.1)


def test_a_smaller_vocabulary_means_more_steps() -> None:
    small = PipelineConfiguration(tokenizer_vocab_size=2000)
    assert count_steps(small) > 1.2 * count_steps(PipelineConfiguration())


def test_both_kinds_of_step_count_by_their_share() -> None:
    """Most of the steps are sampled; an evaluation adds some per cent of full ones."""
    times = {"sampled_s": 1.0, "full_s": 2.0, "evaluation_s": 0.9}
    assert estimate_training_s(SMALL, times, steps=100) / 100 == pytest.approx(0.9 + 0.2 + 0.1)


def test_a_rehearsal_times_real_steps_of_both_kinds() -> None:
    rehearsed = rehearse_training(SMALL)
    assert rehearsed.pop("peak_mb") > 50
    assert set(rehearsed) == {"sampled_s", "full_s", "evaluation_s"}
    assert all(0 < seconds < 10 for seconds in rehearsed.values())


@pytest.mark.parametrize(
    "failure",
    [
        subprocess.TimeoutExpired("x", 1),
        subprocess.CalledProcessError(1, "x"),
        json.JSONDecodeError("", "", 0),
    ],
    ids=["too slow", "crashed", "talks nonsense"],
)
def test_a_rehearsal_that_fails_costs_only_the_estimate(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(_config):
        raise failure

    monkeypatch.setattr(duration, "rehearse_training", fail)
    check = check_duration(SMALL)
    assert check.ok
    assert "steps of unknown duration" in check.found


KILL = """
import os, sys
if {who!r} in sys.orig_argv:
    os.kill(os.getpid(), {number})
"""


@pytest.mark.parametrize(
    ("who", "number", "found"),
    [
        ("semilla.training.rehearsal", 4, "crashed (SIGILL)"),
        ("semilla.training.parallel.worker", 11, "crashed (SIGSEGV)"),
        ("semilla.training.rehearsal", 9, "ended by SIGKILL"),
    ],
    ids=["crash", "crash of a worker", "kill"],
)
def test_the_end_of_a_rehearsal_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str, number: int, found: str
) -> None:
    """A crash fails the check, for training would repeat it. A kill may have been meant for the trial alone."""
    (tmp_path / "sitecustomize.py").write_text(KILL.format(who=who, number=number), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(duration, "TIMEOUT_S", 500)
    changes = {"batch_size": 64, "num_threads": 2}
    settings = SMALL.training_hyperparameters.model_copy(update=changes)
    check = check_duration(SMALL.model_copy(update={"training_hyperparameters": settings}))
    assert found in str(check.error or check.advice)
    assert (check.ok, check.required) == (False, number != 9)
    if check.error:
        assert "--num-threads=1" in str(check.error.next_command)
