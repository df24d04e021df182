"""The fast path computes what plain PyTorch computes, and the sampled softmax what the full one does on average."""

from __future__ import annotations

import itertools
import math
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.model import reference as model_reference
from semilla.model.reference import ReferenceTransformer
from semilla.model.transformer import EMBEDDING_DEVIATION
from semilla.training import gradients, loss, reference
from semilla.training.loop import train
from semilla.training.sampled_softmax import Sample, draw_sample
from semilla.training.state import RunState, build_state

from .small_data import make_batch, make_config, make_data

TOLERANCE = 1e-5
NUM_STEPS = 5

pytestmark = pytest.mark.usefixtures("one_thread")


def measure_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference, relative to the norm of what is expected."""
    return ((found - expected).norm() / expected.norm()).item()


def join_gradients(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


def configure(*, num_workers: int, **architecture: object) -> PipelineConfiguration:
    """Nothing that the plain version lacks: no dropout, no sampled softmax, no short contexts."""
    config = make_config(
        batch_size=96,  # enough for three worker processes
        num_threads=num_workers,
        learning_rate=3e-4,
        dropout=0,
        sampled_output_fraction=0,
        short_context_fraction=0,
    )
    changed = config.model_architecture.model_copy(update=architecture)
    return config.model_copy(update={"model_architecture": changed})


def build_pair(config: PipelineConfiguration) -> tuple[RunState, ReferenceTransformer]:
    """The fast and the plain network with the same weights."""
    state = build_state(config, vocab_size=1000, precision="float32")
    plain = ReferenceTransformer(config.model_architecture, vocab_size=1000)
    plain.load_state_dict(state.model.state_dict())
    return state, plain


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("num_workers", [1, 3])
def test_five_fast_steps_equal_five_plain_ones(num_workers: int, tie_embeddings: bool) -> None:
    """Losses and weights agree in float32, with one worker process or three."""
    config = configure(num_workers=num_workers, num_layers=2, tie_embeddings=tie_embeddings)
    data = make_data(config=config, num_tokens=20_000)
    state, plain = build_pair(config)
    with closing(train(state, config=config, data=data)) as fast_steps:
        plain_steps = reference.train(plain, config=config, data=data)
        for found, expected in itertools.islice(zip(fast_steps, plain_steps, strict=True), NUM_STEPS):
            assert found.loss == pytest.approx(expected.loss, rel=TOLERANCE)
            named = zip(state.model.named_parameters(), plain.named_parameters(), strict=True)
            for (name, fast_weight), (plain_name, weight) in named:
                assert name == plain_name
                assert measure_difference(fast_weight, weight) < TOLERANCE, name


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("num_workers", [1, 3])
def test_five_fast_gradients_equal_five_plain_ones(num_workers: int, tie_embeddings: bool) -> None:
    """Gradients agree at each of five steps, each from equal weights.

    Adam divides a gradient by its own size, so that one step makes a rounding error of a tiny gradient as large as any
    other: the next gradients of two free runs agree less closely than the arithmetic does.
    """
    config = configure(num_workers=num_workers, num_layers=2, tie_embeddings=tie_embeddings)
    data = make_data(config=config, num_tokens=20_000)
    state, plain = build_pair(config)
    with closing(train(state, config=config, data=data)) as fast_steps:
        plain_steps = reference.train(plain, config=config, data=data)
        for _ in range(NUM_STEPS):
            plain.load_state_dict(state.model.state_dict())
            next(fast_steps)
            next(plain_steps)
            assert measure_difference(join_gradients(state.model), join_gradients(plain)) < TOLERANCE


def test_every_gradient_equals_the_plain_one() -> None:
    """After one step from the same weights the gradient of each parameter agrees by itself."""
    config = configure(num_workers=1, num_layers=2)
    data = make_data(config=config, num_tokens=20_000)
    state, plain = build_pair(config)
    with closing(train(state, config=config, data=data)) as fast_steps:
        next(fast_steps)
    next(reference.train(plain, config=config, data=data))
    for (name, fast_weight), weight in zip(state.model.named_parameters(), plain.parameters(), strict=True):
        assert fast_weight.grad is not None
        assert weight.grad is not None
        assert measure_difference(fast_weight.grad, weight.grad) < TOLERANCE, name


def test_a_slightly_different_network_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is sharp: rotary angles of another base change the gradient by more than the tolerance."""
    monkeypatch.setattr(model_reference, "ROPE_THETA", 9_000.0)
    config = configure(num_workers=1)
    data = make_data(config=config, num_tokens=20_000)
    state, plain = build_pair(config)
    with closing(train(state, config=config, data=data)) as fast_steps:
        next(fast_steps)
    next(reference.train(plain, config=config, data=data))
    assert measure_difference(join_gradients(state.model), join_gradients(plain)) > TOLERANCE


# ---- sampled softmax

VOCAB_SIZE = 2000
NUM_DRAWS = 64


def measure_sampling_error() -> tuple[float, float]:
    """Mean gradient of the sampled softmax over many draws: its distance to the full one, and its standard error.

    Both are relative to the norm of the full gradient.
    """
    model = build_state(make_config(), vocab_size=VOCAB_SIZE, precision="float32").model
    parameters = list(model.parameters())
    gradient = torch.zeros(sum(weight.numel() for weight in parameters))
    gradients.join_gradients(parameters, gradient)
    with torch.no_grad():
        model.embedding_VD.mul_(0.12 / EMBEDDING_DEVIATION)  # logits that differ as after some training
    frequencies = 1 / (np.arange(VOCAB_SIZE) + 2.7)
    tokens = np.random.default_rng(0).choice(VOCAB_SIZE, 20_000, p=frequencies / frequencies.sum())
    counts = np.bincount(tokens, minlength=VOCAB_SIZE)
    rows = tokens[: 8 * 33].reshape(8, 33)
    inputs, targets = np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])

    def compute(seed: int, *, samples_output: bool) -> torch.Tensor:
        batch = make_batch(inputs, targets, seed=seed, samples_output=samples_output)
        gradients.compute_batch(model, gradient, batch, counts)
        return gradient.clone()

    full = compute(0, samples_output=False)
    drawn = torch.stack([compute(seed, samples_output=True) for seed in range(NUM_DRAWS)])
    standard_error = drawn.std(0).norm() / math.sqrt(NUM_DRAWS)
    return measure_difference(drawn.mean(0), full), (standard_error / full.norm()).item()


def test_the_gradient_of_the_sampled_softmax_is_unbiased_within_its_error() -> None:
    """Over many draws its mean is the full softmax's gradient, as closely as so many draws can tell."""
    difference, standard_error = measure_sampling_error()
    assert standard_error < 0.05
    assert difference < 1.2 * standard_error


def test_a_biased_sample_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative samples without their weights shift the mean gradient by far more than its error."""

    def draw_unweighted(*arguments: Any, **options: Any) -> Sample:
        sample = draw_sample(*arguments, **options)
        return sample._replace(offset_MC=np.zeros_like(sample.offset_MC))

    monkeypatch.setattr(loss, "draw_sample", draw_unweighted)
    difference, standard_error = measure_sampling_error()
    assert difference > 3 * standard_error
