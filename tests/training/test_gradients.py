"""Shards: cut from the batch and put together again, they are the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from semilla.training import micro_batches as shards
from semilla.training import sampled_softmax as candidates
from semilla.training import scoring
from semilla.training.data import cut_batch, plan_epoch
from semilla.training.loop import compute_gradients
from semilla.training.micro_batches import cut_shards
from semilla.training.parallel.workers import Workers
from semilla.training.state import RunState, build_state

from .conftest import make_config, make_data, make_portion


def build(monkeypatch: pytest.MonkeyPatch, *, shard_tokens: int, tied: bool = True) -> RunState:
    monkeypatch.setattr(shards, "SHARD_TOKENS", shard_tokens)
    config = make_config().model_dump()
    config["model_architecture"]["tie_embeddings"] = tied
    return build_state(make_config().model_validate(config), vocab_size=1000, precision="float32")


def compute(state: RunState, **options: Any) -> tuple[float, float]:
    config = make_config()
    data = make_data(config=config)
    batch = make_portion(*cut_batch(data, plan_epoch(data, 1)[: data.batch_size]), **options)
    with Workers(config) as workers:
        workers.share(state, data)
        return compute_gradients(batch, workers, max_norm=1e9)


def find_gradients(state: RunState, **options: Any) -> list[torch.Tensor]:
    compute(state, **options)
    return [parameter.grad.clone() for parameter in state.model.parameters()]


@pytest.mark.parametrize("chunk_rows", [512, 32, 20])
@pytest.mark.parametrize("tied", [True, False])
def test_the_gradient_is_that_of_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch, tied: bool, chunk_rows: int
) -> None:
    """Every parameter's, and the loss, as torch finds them for all logits at once; however many chunks there are."""
    monkeypatch.setattr(scoring, "CHUNK_ROWS", chunk_rows)
    state = build(monkeypatch, shard_tokens=1, tied=tied)
    data = make_data(config=make_config())
    inputs, targets = map(torch.from_numpy, cut_batch(data, plan_epoch(data, 1)[: data.batch_size]))
    logits = state.model.compute_logits(state.model(inputs))
    expected_loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    parameters = dict(state.model.named_parameters())
    expected = torch.autograd.grad(expected_loss, list(parameters.values()))
    loss, norm = compute(state)
    assert loss == pytest.approx(expected_loss.item(), rel=1e-5)
    for (name, parameter), gradient in zip(parameters.items(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6, msg=name)
    assert norm == pytest.approx(
        torch.stack([g.square().sum() for g in expected]).sum().sqrt().item(), rel=1e-4
    )


@pytest.mark.parametrize(("tied", "shared_by"), [(True, 16), (False, 16), (True, 12)])
def test_candidates_stand_for_the_vocabulary(
    monkeypatch: pytest.MonkeyPatch, tied: bool, shared_by: int
) -> None:
    """The gradient with some tokens scored, averaged over many draws, is near the one with all scored.

    Also where the last targets are fewer than share candidates.
    """
    monkeypatch.setattr(candidates, "NUM_CANDIDATES", 216)
    monkeypatch.setattr(scoring, "SHARED_BY", shared_by)
    state = build(monkeypatch, shard_tokens=32, tied=tied)
    exact = find_gradients(state)
    sums = [torch.zeros_like(gradient) for gradient in exact]
    for seed in range(20):
        for total, gradient in zip(sums, find_gradients(state, seed=seed, samples_output=True), strict=True):
            total.add_(gradient, alpha=1 / 20)
    for mean, gradient in zip(sums, exact, strict=True):
        assert torch.nn.functional.cosine_similarity(mean.flatten(), gradient.flatten(), dim=0) > 0.97


def test_the_same_step_gives_the_same_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit by bit, with everything that is drawn; another seed others."""
    state = build(monkeypatch, shard_tokens=32)
    options = {"dropout": 0.3, "samples_output": True}
    first, again, other = (find_gradients(state, seed=seed, **options) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_row_is_in_one_shard() -> None:
    """Also where the last shard is smaller, or a single sequence is larger than a shard."""
    for batch_size, length in [(32, 128), (7, 1024), (3, 9999), (1, 1), (33, 128)]:
        rows = [row for part in cut_shards(batch_size, length) for row in np.arange(batch_size)[part]]
        assert rows == list(range(batch_size))
    assert len(cut_shards(32, 128)) == 1
    assert len(cut_shards(3, 9999)) == 3
