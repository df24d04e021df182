"""The engine for GPUs, run on the CPU: it computes what the CPU's own engine does. No test here has a GPU."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.model.reference import ReferenceTransformer
from semilla.model.transformer import EMBEDDING_DEVIATION
from semilla.system.temporary import open_compiler_folder
from semilla.training import accelerator, gradients, reference
from semilla.training.accelerator import Accelerator
from semilla.training.checkpoints.checkpoint import Checkpoint, restore_state, save_checkpoint
from semilla.training.checkpoints.seal import read_sealed
from semilla.training.data import Batch, TrainingData
from semilla.training.loop import train
from semilla.training.parallel.workers import Workers
from semilla.training.state import RunState, build_state

from .small_data import make_batch, make_config, make_data
from .test_loop import PROVENANCE, hash_state, run_to_end
from .test_reference import configure, join_gradients, measure_difference

TOLERANCE = 1e-5
NUM_STEPS = 5
VOCAB_SIZE = 2000

pytestmark = pytest.mark.usefixtures("one_thread")


def take_steps(
    state: RunState, config: PipelineConfiguration, data: TrainingData, *, accelerates: bool, stop_at: int
) -> list[float]:
    """Train up to a step and return the losses."""
    with Workers(config, accelerates=accelerates) as workers:
        return run_to_end(state, config, data, stop_at=stop_at, workers=workers)


def draw_batch(*, vocab_size: int = 1000, rows: int = 8, length: int = 32, **options: Any) -> Batch:
    tokens = np.random.default_rng(3).integers(0, vocab_size, (rows, length + 1))
    return make_batch(np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:]), **options)


def build(
    *, vocab_size: int = 1000, precision: str = "float32", has_dropout: bool = False, **options: Any
) -> tuple[Accelerator, torch.Tensor]:
    """An accelerator of a new network, and the block of the gradients."""
    model = build_state(make_config(), vocab_size=vocab_size, precision=precision).model
    parameters = list(model.parameters())
    block = torch.zeros(sum(weight.numel() for weight in parameters))
    gradients.join_gradients(parameters, block)
    counts = np.ones(vocab_size, np.int64)
    return Accelerator(model, counts, has_dropout=has_dropout, **options), block


# ---- the same arithmetic


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_five_steps_have_the_losses_of_the_engine_for_the_cpu(tie_embeddings: bool) -> None:
    """In float32, without dropout, with the full softmax; also where sequences are halved first."""
    config = configure(num_workers=1, num_layers=2, tie_embeddings=tie_embeddings)
    settings = config.training_hyperparameters.model_copy(update={"short_context_fraction": 0.3})
    config = config.model_copy(update={"training_hyperparameters": settings})
    data = make_data(config=config, num_tokens=20_000)
    found, expected = (
        take_steps(
            build_state(config, vocab_size=1000, precision="float32"),
            config,
            data,
            accelerates=accelerates,
            stop_at=NUM_STEPS,
        )
        for accelerates in (True, False)
    )
    assert len(found) == NUM_STEPS
    assert found == pytest.approx(expected, abs=TOLERANCE)


def test_every_gradient_equals_that_of_the_plain_network() -> None:
    """After one step from the same weights, for each parameter by itself."""
    config = configure(num_workers=1, num_layers=2)
    data = make_data(config=config, num_tokens=20_000)
    state = build_state(config, vocab_size=1000, precision="float32")
    plain = ReferenceTransformer(config.model_architecture, vocab_size=1000)
    plain.load_state_dict(state.model.state_dict())
    take_steps(state, config, data, accelerates=True, stop_at=1)
    next(reference.train(plain, config=config, data=data))
    for (name, weight), expected in zip(state.model.named_parameters(), plain.parameters(), strict=True):
        assert weight.grad is not None
        assert expected.grad is not None
        assert measure_difference(weight.grad, expected.grad) < TOLERANCE, name


def test_a_slightly_different_network_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is sharp: another constant in the norms changes the gradient by more than the tolerance."""
    engine, block = build()
    engine.compute_batch(block, draw_batch())
    right = block.clone()
    monkeypatch.setattr(accelerator, "NORM_EPSILON", 1.1e-5)
    engine.compute_batch(block, draw_batch())
    assert measure_difference(block, right) > TOLERANCE


def test_micro_batches_add_up_to_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, block = build()
    whole = engine.compute_batch(block, draw_batch())
    gradient = block.clone()
    monkeypatch.setattr(accelerator, "DEVICE_TOKENS", 96)
    assert engine.compute_batch(block, draw_batch()) == pytest.approx(whole, rel=1e-6)
    assert measure_difference(block, gradient) < 1e-6


def test_bfloat16_changes_the_gradient_by_its_rounding_only() -> None:
    """Gradients and loss stay float32."""
    exact, exact_block = build()
    rounded, block = build(precision="bfloat16")
    losses = [
        one.compute_batch(grads, draw_batch()) for one, grads in ((exact, exact_block), (rounded, block))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert 1e-4 < measure_difference(block, exact_block) < 0.03


# ---- what is drawn


def test_dropout_is_drawn_from_the_seed_and_keeps_the_mean() -> None:
    """The probability is a tensor, as in compiled code."""
    torch.manual_seed(1)
    dropped = accelerator.drop(torch.ones(200, 200), torch.tensor(0.3))
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    engine, block = build(has_dropout=True)
    losses = [engine.compute_batch(block, draw_batch(dropout=0.3, seed=seed)) for seed in (5, 5, 6)]
    assert losses[0] == losses[1] != losses[2]


def measure_sampling_error(num_draws: int = 48) -> tuple[float, float]:
    """Mean gradient of the sampled softmax: its distance to the full one, and its standard error, both relative."""
    engine, block = build(vocab_size=VOCAB_SIZE)
    with torch.no_grad():
        engine.model.embedding_VD.mul_(
            0.12 / EMBEDDING_DEVIATION
        )  # logits that differ as after some training
    shares = 1 / (np.arange(VOCAB_SIZE) + 2.7)
    tokens = np.random.default_rng(0).choice(VOCAB_SIZE, 8 * 33, p=shares / shares.sum()).reshape(8, 33)
    inputs, targets = np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:])
    engine = Accelerator(engine.model, np.round(1e6 * shares).astype(np.int64), has_dropout=False)

    def compute(seed: int, *, samples_output: bool) -> torch.Tensor:
        engine.compute_batch(block, make_batch(inputs, targets, seed=seed, samples_output=samples_output))
        return block.clone()

    full = compute(0, samples_output=False)
    drawn = torch.stack([compute(seed, samples_output=True) for seed in range(num_draws)])
    standard_error = drawn.std(0).norm() / math.sqrt(num_draws)
    return measure_difference(drawn.mean(0), full), (standard_error / full.norm()).item()


def test_the_gradient_of_the_sampled_softmax_is_unbiased_within_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over many draws its mean is the full softmax's gradient, as closely as so many draws can tell."""
    monkeypatch.setattr(accelerator, "NUM_NEGATIVES", 448)
    difference, standard_error = measure_sampling_error()
    assert standard_error < 0.05
    assert difference < 1.3 * standard_error


def test_a_biased_sample_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative samples without their weights shift the mean gradient by far more than its error."""
    monkeypatch.setattr(accelerator, "NUM_NEGATIVES", 448)
    right = accelerator.sum_sampled_losses
    monkeypatch.setattr(
        accelerator,
        "sum_sampled_losses",
        lambda *parts: right(*parts[:-1], torch.full_like(parts[-1], 1 / 448)),
    )
    difference, standard_error = measure_sampling_error()
    assert difference > 3 * standard_error


# ---- a training


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_resumed_at_any_step_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    """With dropout and negative samples: inside an epoch, at its end, and after the first step."""
    monkeypatch.setattr(accelerator, "NUM_NEGATIVES", 64)
    config = make_config(optimizer=optimizer, dropout=0.2)
    data = make_data(config=config)
    end = 2 * data.steps_per_epoch

    def fresh() -> RunState:
        return build_state(config, vocab_size=1000, precision="float32")

    whole = fresh()
    take_steps(whole, config, data, accelerates=True, stop_at=end)
    for stop_at in (1, data.steps_per_epoch, data.steps_per_epoch + 2):
        state = fresh()
        take_steps(state, config, data, accelerates=True, stop_at=stop_at)
        path = tmp_path / f"checkpoint_step_{stop_at}.pt"
        save_checkpoint(path, state, config=config, provenance=PROVENANCE)
        resumed = fresh()
        restore_state(resumed, Checkpoint(path, read_sealed(path)))
        take_steps(resumed, config, data, accelerates=True, stop_at=end)
        assert hash_state(resumed) == hash_state(whole), f"cut at step {stop_at}"


def test_the_sampled_training_learns_as_the_full_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "NUM_NEGATIVES", 256)
    losses = {}
    for share in (0.0, 0.9):
        config = make_config(num_epochs=8, dropout=0.0, sampled_output_fraction=share)
        data = make_data(config=config)
        state = build_state(config, vocab_size=1000, precision="float32")
        losses[share] = take_steps(state, config, data, accelerates=True, stop_at=8 * data.steps_per_epoch)
    assert losses[0.0][-1] < losses[0.0][0] - 1.5
    assert losses[0.9][-1] == pytest.approx(losses[0.0][-1], abs=0.2)


def test_the_cpu_loads_nothing_of_it_and_a_gpu_gets_no_worker_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = configure(num_workers=3)
    assert Workers(config).count == 3
    assert Workers(config.model_copy(update={"device": "cuda"})).count == 1
    monkeypatch.setitem(sys.modules, "semilla.training.accelerator", None)
    data, alone = make_data(config=config, num_tokens=20_000), configure(num_workers=1)
    with closing(
        train(build_state(alone, vocab_size=1000, precision="float32"), config=alone, data=data)
    ) as steps:
        assert len(list(itertools.islice(steps, 2))) == 2


# ---- devices that are not here


@pytest.mark.parametrize("samples_output", [False, True])
def test_nothing_stays_behind_on_the_cpu(monkeypatch: pytest.MonkeyPatch, samples_output: bool) -> None:
    """On torch's device for shapes, operations refuse tensors of another device."""
    monkeypatch.setattr(accelerator, "NUM_NEGATIVES", 64)
    model = build_state(make_config(), vocab_size=1000, precision="float32").model.to("meta")
    engine = Accelerator(model, np.ones(1000, np.int64), has_dropout=True)
    loss = engine.compute_loss(draw_batch(dropout=0.1, samples_output=samples_output))
    assert (loss.device.type, loss.shape) == ("meta", ())
    torch.autograd.backward(loss)
    assert join_gradients(model).numel() == sum(weight.numel() for weight in model.parameters())
    monkeypatch.setattr(engine, "_read_dropout", lambda batch: torch.full((32, 1), 0.1))
    with pytest.raises(RuntimeError, match="device"):
        engine.compute_loss(draw_batch(dropout=0.1))


def test_compiled_code_gets_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is private, and nothing is left afterwards but what was there."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    with open_compiler_folder():
        folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        assert folder.stat().st_mode & 0o77 == 0
        os.environ["TRITON_CACHE_DIR"] = str(folder / "triton")  # as torch does
    assert not folder.exists()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    assert "TRITON_CACHE_DIR" not in os.environ


COMPILED = """
import sys
from torch._dynamo.utils import counters
from training.test_accelerator import build, draw_batch, measure_difference

unpickled = []
sys.addaudithook(lambda event, found: unpickled.append(found) if event == "pickle.find_class" else None)
for has_dropout in (False, True):
    (plain, block), (compiled, other) = (build(compiles=one, has_dropout=has_dropout) for one in (False, True))
    for step, rows in enumerate((8, 8, 16, 3)):
        batch = draw_batch(rows=rows, dropout=0.01 * step)
        loss = compiled.compute_batch(other, batch)
        if not has_dropout:
            assert abs(loss - plain.compute_batch(block, batch)) < 1e-5
            assert measure_difference(other, block) < 1e-5
        assert loss == compiled.compute_batch(other, batch)
    compiled.close()
print(counters["stats"]["unique_graphs"], sum(counters["unimplemented"].values()), unpickled)
"""


@pytest.mark.slow(reason="compiles C++")
def test_compiled_steps_equal_plain_ones() -> None:
    """With a C++ compiler. New numbers of rows and new probabilities are compiled once; nothing is unpickled."""
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", COMPILED],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    num_graphs, num_fallbacks, unpickled = done.stdout.split(maxsplit=2)
    assert 2 <= int(num_graphs) <= 8
    assert (num_fallbacks, unpickled.strip()) == ("0", "[]")
