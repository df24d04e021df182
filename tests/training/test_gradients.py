"""Micro-batches add up to the batch, and what is drawn at random does not depend on how it is divided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from semilla.training import loss, micro_batches, sampled_softmax
from semilla.training.data import cut_batch, plan_epoch
from semilla.training.loop import compute_gradients
from semilla.training.micro_batches import cut_micro_batches
from semilla.training.parallel.workers import Workers
from semilla.training.state import RunState, build_state

from .small_data import make_batch, make_config, make_data


def build(monkeypatch: pytest.MonkeyPatch, *, micro_batch_tokens: int, tied: bool = True) -> RunState:
    monkeypatch.setattr(micro_batches, "MICRO_BATCH_TOKENS", micro_batch_tokens)
    monkeypatch.setattr(micro_batches, "GROUP_TARGETS", 32)
    config = make_config().model_dump()
    config["model_architecture"]["tie_embeddings"] = tied
    return build_state(make_config().model_validate(config), vocab_size=1000, precision="float32")


def compute(state: RunState, **options: Any) -> tuple[float, float]:
    config = make_config()
    data = make_data(config=config)
    batch = make_batch(*cut_batch(data, plan_epoch(data, 1)[: data.batch_size]), **options)
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
    """For any number of chunks, loss and gradients equal those that torch computes from all logits at once."""
    monkeypatch.setattr(loss, "CHUNK_ROWS", chunk_rows)
    state = build(monkeypatch, micro_batch_tokens=1, tied=tied)
    data = make_data(config=make_config())
    inputs, targets = map(torch.from_numpy, cut_batch(data, plan_epoch(data, 1)[: data.batch_size]))
    logits = state.model.compute_logits(state.model(inputs))
    expected_loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    parameters = dict(state.model.named_parameters())
    expected = torch.autograd.grad(expected_loss, list(parameters.values()))
    found_loss, norm = compute(state)
    assert found_loss == pytest.approx(expected_loss.item(), rel=1e-5)
    for (name, parameter), gradient in zip(parameters.items(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6, msg=name)
    assert norm == pytest.approx(
        torch.stack([g.square().sum() for g in expected]).sum().sqrt().item(), rel=1e-4
    )


@pytest.mark.parametrize(("tied", "group_targets"), [(True, 16), (False, 16), (True, 12)])
def test_the_sampled_softmax_has_the_gradient_of_the_full_one_on_average(
    monkeypatch: pytest.MonkeyPatch, tied: bool, group_targets: int
) -> None:
    """The sampled softmax, averaged over many draws, has nearly the gradient of the full one.

    Also where the last group of targets is smaller.
    """
    monkeypatch.setattr(sampled_softmax, "SAMPLE_SIZE", 216)
    monkeypatch.setattr(micro_batches, "GROUP_TARGETS", group_targets)
    state = build(monkeypatch, micro_batch_tokens=32, tied=tied)
    exact = find_gradients(state)
    sums = [torch.zeros_like(gradient) for gradient in exact]
    for seed in range(20):
        for total, gradient in zip(sums, find_gradients(state, seed=seed, samples_output=True), strict=True):
            total.add_(gradient, alpha=1 / 20)
    for mean, gradient in zip(sums, exact, strict=True):
        assert torch.nn.functional.cosine_similarity(mean.flatten(), gradient.flatten(), dim=0) > 0.97


def test_the_same_step_gives_the_same_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, dropout and negative samples included; another seed gives other gradients."""
    state = build(monkeypatch, micro_batch_tokens=32)
    options = {"dropout": 0.3, "samples_output": True}
    first, again, other = (find_gradients(state, seed=seed, **options) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("group_targets", [64, 32, 12])
def test_micro_batches_draw_what_the_whole_batch_draws(
    monkeypatch: pytest.MonkeyPatch, group_targets: int
) -> None:
    """Dropout and negative samples are the same in one micro-batch as in several; only rounding differs.

    Groups of two rows, of one, and of a part of one.
    """
    monkeypatch.setattr(sampled_softmax, "SAMPLE_SIZE", 216)
    found = []
    for tokens in (4096, 64):
        state = build(monkeypatch, micro_batch_tokens=tokens)
        monkeypatch.setattr(micro_batches, "GROUP_TARGETS", group_targets)
        assert len(cut_micro_batches(4, 32)) == (1 if tokens == 4096 else 2)
        found.append(find_gradients(state, dropout=0.3, samples_output=True))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_every_row_is_in_one_micro_batch() -> None:
    """Also where the last micro-batch is smaller, or a single sequence is larger than a micro-batch."""
    for batch_size, length in [(32, 128), (7, 1024), (3, 9999), (1, 1), (33, 128)]:
        rows = [row for part in cut_micro_batches(batch_size, length) for row in np.arange(batch_size)[part]]
        assert rows == list(range(batch_size))
    assert len(cut_micro_batches(32, 128)) == 1
    assert len(cut_micro_batches(3, 9999)) == 3
