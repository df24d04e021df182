"""Shards: cut from the batch and put together again, they are the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semilla.training import shards
from semilla.training.batches import cut_batch, plan_epoch
from semilla.training.evaluate import evaluate
from semilla.training.gradients import compute_gradients
from semilla.training.shards import cut_shards
from semilla.training.state import RunState, build_state
from semilla.training.workers import Workers

from .conftest import make_config, make_data


def build(monkeypatch: pytest.MonkeyPatch, *, threads: int, shard_tokens: int, tied: bool = True) -> RunState:
    monkeypatch.setattr(shards, "SHARD_TOKENS", shard_tokens)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    config = make_config().model_dump()
    config["model_architecture"]["tie_embeddings"] = tied
    state = build_state(make_config().model_validate(config), vocab_size=1000, precision="float32")
    torch.set_num_threads(before)
    return state


def compute(state: RunState, *, dropout: float = 0.0, samples_output: bool = False) -> tuple[float, float]:
    data = make_data(config=make_config())
    batch = cut_batch(data, plan_epoch(data, 1)[: data.batch_size])
    return compute_gradients(
        state, batch, seed=5, dropout=dropout, samples_output=samples_output, max_norm=1e9
    )


@pytest.mark.parametrize("tied", [True, False])
def test_the_gradient_is_that_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch, tied: bool) -> None:
    """Every parameter's, and the loss, as torch finds them for all logits at once."""
    state = build(monkeypatch, threads=1, shard_tokens=1, tied=tied)
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


@pytest.mark.parametrize("samples_output", [False, True])
def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch, samples_output: bool) -> None:
    """One thread after the other or three side by side, with dropout: the same gradients and the same evaluation."""
    found = []
    for threads in (1, 3):
        state = build(monkeypatch, threads=threads, shard_tokens=32)
        loss, norm = compute(state, dropout=0.3, samples_output=samples_output)
        gradients = [parameter.grad.clone() for parameter in state.model.parameters()]
        found.append(
            (
                loss,
                norm,
                gradients,
                evaluate(state.model, make_data(config=make_config()), workers=state.workers),
            )
        )
    (loss, norm, gradients, evaluation), (loss_3, norm_3, gradients_3, evaluation_3) = found
    assert (loss, norm, evaluation) == (loss_3, norm_3, evaluation_3)
    assert all(torch.equal(a, b) for a, b in zip(gradients, gradients_3, strict=True))


def test_every_row_is_in_one_shard() -> None:
    """Also where the last shard is smaller, or a single sequence is larger than a shard."""
    for batch_size, length in [(32, 128), (7, 1024), (3, 9999), (1, 1), (33, 128)]:
        rows = [row for part in cut_shards(batch_size, length) for row in np.arange(batch_size)[part]]
        assert rows == list(range(batch_size))
    assert len(cut_shards(32, 128)) == 2
    assert len(cut_shards(3, 9999)) == 3


def test_results_come_in_the_order_of_the_parts_and_errors_come_through() -> None:
    """Whichever thread was faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    workers = Workers(4)
    torch.set_num_threads(before)
    assert workers.num_workers == 2
    assert list(workers.map(lambda number: number * number, range(20))) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(workers.map(lambda number: 1 // number, [2, 1, 0]))
