"""Rows L of the fault catalogue: NaN and infinity never become weights, best models or figures."""

from __future__ import annotations

import json
import math
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import On, configure, describe_end, resume, train

from semilla import cli
from semilla.errors import DivergedError, IntegrityError, ValidationFailureError
from semilla.events import EpochDone
from semilla.pipeline.main_job import run_pipeline
from semilla.records import names
from semilla.records.files import write_bytes
from semilla.records.metrics import StoppedEpoch, read_metrics
from semilla.training import epoch, loop
from semilla.training.checkpoints.checkpoint import find_checkpoints
from semilla.training.checkpoints.seal import read_sealed, seal
from semilla.training.data import HeldOutText, TrainingData
from semilla.training.evaluate import Evaluation, evaluate
from semilla.training.state import build_state


def break_at(step: int, monkeypatch: pytest.MonkeyPatch, *, loss: float, norm: float) -> None:
    """Make the loss or gradient of one step NaN or infinite; steps count from the next one."""
    compute, steps = loop.compute_gradients, count(1)

    def compute_gradients(*arguments: Any, **keywords: Any) -> tuple[float, float]:
        result = compute(*arguments, **keywords)
        return (loss, norm) if next(steps) == step else result

    monkeypatch.setattr(loop, "compute_gradients", compute_gradients)


@pytest.mark.parametrize(
    ("loss", "norm", "named"),
    [(math.nan, 1.0, "loss"), (3.0, math.inf, "gradient_norm")],
    ids=["loss", "gradient"],
)
def test_training_stops_before_the_update(
    directory: Path, monkeypatch: pytest.MonkeyPatch, loss: float, norm: float, named: str,
    whole: dict[str, Any], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """L1, L9: ``diverged``, exit 4; log and metrics have the step, batch and norm, with null for NaN."""
    with monkeypatch.context() as patch:
        break_at(20, patch, loss=loss, norm=norm)
        with pytest.raises(
            DivergedError, match=r"step 20: the loss is .*; the update was not made"
        ) as caught:
            run_pipeline(configure(directory, checkpoint_seconds=1e-9))
    assert caught.value.status == 4
    content = (directory / names.METRICS).read_text(encoding="utf-8")
    assert "NaN" not in content
    assert "Infinity" not in content
    stopped = json.loads(content)["stopped"]
    assert stopped[named] is None
    assert (stopped["not_finite"], stopped["step"], stopped["epoch_number"]) == ([named], 20, 2)
    assert len(stopped["windows"]) == 32
    log = (directory / names.LOG).read_text(encoding="utf-8")
    assert str(stopped["windows"]) in log
    assert "'gradient_norm': " in log
    (newest, *_), damaged = find_checkpoints(directory)
    assert (newest.content["step"], damaged) == (19, [])
    resume(directory)
    assert describe_end(directory) == whole


def test_a_nan_validation_loss_is_never_best(
    directory: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, Any]
) -> None:
    """L4: neither at the first epoch nor later; ``validation_failure``, and everything is kept."""
    bad = Evaluation(math.nan, {"all": 1.0})
    for number in (1, 2):
        with monkeypatch.context() as patch:
            measured: list[Evaluation] = []

            def measure(
                *arguments: Any, number: int = number, seen: list[Any] = measured, **keywords: Any
            ) -> Evaluation:
                seen.append(evaluate(*arguments, **keywords))
                return bad if len(seen) == 1 else seen[-1]

            patch.setattr(epoch, "evaluate", measure)
            with pytest.raises(ValidationFailureError, match=f"after epoch {number} is nan"):
                resume(directory)
        metrics = read_metrics(directory / names.METRICS)
        assert metrics.stopped is not None
        assert (metrics.stopped.validation_loss, metrics.stopped.not_finite) == (None, ["validation_loss"])
        assert len(metrics.epoch_history) == number - 1
        assert (directory / names.BEST_MODEL).exists() is (number == 2)
        stop = On(EpochDone, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        if number == 1:
            with pytest.raises(KeyboardInterrupt):
                resume(directory, progress=stop)
    resume(directory)
    assert read_metrics(directory / names.METRICS).stopped is None
    assert describe_end(directory) == whole


def test_a_model_with_nan_weights_is_not_validated(directory: Path) -> None:
    """L3: an intact file with NaN weights is refused at load: exit 5."""
    train(directory, num_epochs=1)
    path = directory / names.BEST_MODEL
    content = read_sealed(path)
    content["model_state"]["model.norm.weight"][0] = math.nan
    write_bytes(path, seal(content))
    with pytest.raises(IntegrityError, match=r"best_model\.pt holds weights that are not finite"):
        read_sealed(path)


@pytest.mark.parametrize(
    "tokens",
    [np.full(1200, 7), np.arange(1200) % 2 + 5, np.resize([1, 999], 1200)],
    ids=["one token", "two tokens", "the first and the last id"],
)
def test_uniform_text_keeps_every_figure_finite(tokens: np.ndarray, tmp_path: Path) -> None:
    """L7: also for a language without held-out text, and for denormal weights."""
    config = configure(tmp_path / "run", batch_size=4, num_epochs=1)
    stream = tokens.astype(np.int32)
    held_out = (HeldOutText("es", stream[:100], 300), HeldOutText("en", stream[:0], 0))
    data = TrainingData(stream, held_out, 4, 32, 0)
    state = build_state(config, vocab_size=1000, precision="float32")
    with torch.no_grad():
        state.model.model.layers[0].mlp.down_proj.weight.fill_(1e-40)
    infos = list(loop.train(state, config=config, data=data))
    assert all(math.isfinite(info.loss) and math.isfinite(info.gradient_norm) for info in infos)
    evaluation = evaluate(state.model, data)
    assert math.isfinite(evaluation.loss)
    assert all(map(math.isfinite, evaluation.bits_per_byte.values()))


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_the_smallest_and_the_largest_seed_work(directory: Path, seed: int) -> None:
    """L8: in batches, dropout, sampled softmax and samples."""
    record = train(directory, seed=seed, num_epochs=1)
    assert math.isfinite(record.details["best_validation_loss"])


@pytest.mark.parametrize("seed", ["-1", str(2**63), "1.5", "nan", ""])
def test_other_seeds_are_a_wrong_setting(
    tmp_path: Path, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """L8: exit 64, with the valid range."""
    words = ["run", "--output-dir", str(tmp_path / "run"), "--corpus-source", "sample", f"--seed={seed}"]
    assert cli.main(words) == 64
    assert "error[invalid_config]" in capsys.readouterr().err


def test_nan_becomes_null_and_is_named() -> None:
    """L9: a figure that was not measured is null and not named."""
    stopped = StoppedEpoch.describe(epoch_number=1, step=2, loss=math.inf, gradient_norm=math.nan)
    assert (stopped.loss, stopped.gradient_norm, stopped.validation_loss) == (None, None, None)
    assert stopped.not_finite == ["loss", "gradient_norm"]
