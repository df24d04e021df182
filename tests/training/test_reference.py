"""The fast path computes what plain PyTorch computes."""

from __future__ import annotations

import itertools
from contextlib import closing

import pytest
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.model import reference as model_reference
from semilla.model.reference import ReferenceTransformer
from semilla.training import reference
from semilla.training.loop import train
from semilla.training.state import RunState, build_state

from .small_data import make_config, make_data

TOLERANCE = 1e-5
NUM_STEPS = 5


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
    """Losses, gradients and weights agree in float32, with one worker process or three."""
    config = configure(num_workers=num_workers, num_layers=2, tie_embeddings=tie_embeddings)
    data = make_data(config=config, num_tokens=20_000)
    state, plain = build_pair(config)
    with closing(train(state, config=config, data=data)) as fast_steps:
        plain_steps = reference.train(plain, config=config, data=data)
        for found, expected in itertools.islice(zip(fast_steps, plain_steps, strict=True), NUM_STEPS):
            assert found.loss == pytest.approx(expected.loss, rel=TOLERANCE)
            assert measure_difference(join_gradients(state.model), join_gradients(plain)) < TOLERANCE
            named = zip(state.model.named_parameters(), plain.named_parameters(), strict=True)
            for (name, fast_weight), (plain_name, weight) in named:
                assert name == plain_name
                assert measure_difference(fast_weight, weight) < TOLERANCE, name


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
