"""The loop learns, is reproducible in every bit, can be interrupted anywhere, and stops when it diverges."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import DivergedError
from semilla.records.metrics import EpochMetrics
from semilla.training import loop
from semilla.training.checkpoints.checkpoint import Checkpoint, Provenance, restore_state, save_checkpoint
from semilla.training.checkpoints.seal import read_sealed
from semilla.training.data import TrainingData, cut_batch, plan_epoch
from semilla.training.parallel.workers import Workers
from semilla.training.schedule import Schedule
from semilla.training.state import EpochTotals, RunState, build_state

from .small_data import make_config, make_data

PROVENANCE = Provenance(1, 1000, "c", "t", {})


def fresh(config: PipelineConfiguration) -> RunState:
    torch.set_num_threads(1)
    return build_state(config, vocab_size=1000, precision="float32")


def close_epoch(state: RunState, number: int) -> None:
    row = EpochMetrics(
        epoch_number=number, train_loss=state.totals.nats / state.totals.tokens, validation_loss=1.0,
        learning_rate=0.1, elapsed_seconds=0, sample_outputs=[], gradient_norm=1.0, tokens_per_second=1.0,
        bits_per_byte={},
    )  # fmt: skip
    state.history.append(row)
    state.totals = EpochTotals()


def hash_state(state: RunState) -> str:
    digest = hashlib.sha256()
    for tensor in state.model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    for optimizer in state.optimizers.values():
        for entry in optimizer.state_dict()["state"].values():
            for value in entry.values():
                digest.update(torch.as_tensor(value).numpy().tobytes())
    return digest.hexdigest()


def run_to_end(
    state: RunState,
    config: PipelineConfiguration,
    data: TrainingData,
    *,
    stop_at: int = 0,
    workers: Workers | None = None,
) -> list[float]:
    losses = []
    for info in loop.train(state, config=config, data=data, workers=workers):
        losses.append(info.loss)
        if info.ends_epoch:
            close_epoch(state, info.epoch)
        if info.step == stop_at:
            break
    return losses


def test_early_steps_have_short_sequences_and_late_steps_the_full_softmax(data: TrainingData) -> None:
    """Both follow from the share of steps that are done."""
    settings = make_config(short_context_fraction=0.3, sampled_output_fraction=0.9).training_hyperparameters
    starts = plan_epoch(data, 1)[:4]
    batches = [
        loop.plan_batch(step, settings, starts, schedule=Schedule(10), data=data) for step in range(10)
    ]
    assert [batch.inputs.shape for batch in batches] == 3 * [(8, 16)] + 7 * [(4, 32)]
    assert [batch.samples_output for batch in batches] == 9 * [True] + [False]
    assert {batch.num_targets for batch in batches} == {128}
    assert len({batch.seed for batch in batches}) == 10


def test_early_steps_repeat_where_documents_fit_into_a_sequence(data: TrainingData) -> None:
    """Their sequences are never cut in half. One document too long for a sequence among many changes nothing."""
    settings = make_config(short_context_fraction=0.6, repetition_fraction=0.3).training_hyperparameters
    starts = tuple(range(0, len(data.stream) - 200, 20))
    documents = replace(data, document_starts=starts, document_sizes=(20,) * len(starts))
    assert documents.fits_documents
    assert not data.fits_documents
    assert not replace(documents, document_sizes=(20,) * 10).fits_documents
    assert not replace(documents, document_sizes=(60,) * 18).fits_documents
    assert not replace(documents, document_sizes=(60,) * 20).fits_documents
    first = plan_epoch(data, 1)[:4]
    batches = [
        loop.plan_batch(step, settings, first, schedule=Schedule(10), data=documents).inputs
        for step in range(10)
    ]
    assert {batch.shape for batch in batches} == {(4, 32)}
    plain, _ = cut_batch(data, first)
    assert [bool((batch == plain).all()) for batch in batches] == 3 * [False] + 7 * [True]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_learns(optimizer: str) -> None:
    """The loss falls well below the initial one, with either optimizer."""
    config = make_config(optimizer=optimizer, num_epochs=8, dropout=0.0)
    losses = run_to_end(fresh(config), config, make_data(config=config))
    assert losses[-1] < losses[0] - 1.5


def test_the_same_seed_gives_the_same_weights(config: PipelineConfiguration, data: TrainingData) -> None:
    """Two runs agree in every bit of model and optimizers; a run with another seed differs."""
    hashes = []
    for seed in (7, 7, 8):
        seeded = config.model_copy(update={"seed": seed})
        state = fresh(seeded)
        run_to_end(state, seeded, data)
        hashes.append(hash_state(state))
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_training_resumed_at_any_step_ends_in_the_same_bits(tmp_path, optimizer: str) -> None:
    """Inside an epoch, at its end, and after the first step."""
    config = make_config(optimizer=optimizer)
    data = make_data(config=config)
    whole = fresh(config)
    run_to_end(whole, config, data)
    for stop_at in (1, data.steps_per_epoch - 1, data.steps_per_epoch, data.steps_per_epoch + 2):
        state = fresh(config)
        run_to_end(state, config, data, stop_at=stop_at)
        path = tmp_path / f"checkpoint_step_{stop_at}.pt"
        save_checkpoint(path, state, config=config, provenance=PROVENANCE)
        resumed = fresh(config)
        restore_state(resumed, Checkpoint(path, read_sealed(path)))
        run_to_end(resumed, config, data)
        assert hash_state(resumed) == hash_state(whole), f"cut at step {stop_at}"
        losses = [[epoch.train_loss for epoch in each.history] for each in (resumed, whole)]
        assert losses[0] == losses[1]


def test_a_loss_that_is_not_finite_stops_before_the_update(
    config: PipelineConfiguration, data: TrainingData
) -> None:
    """The error leaves the weights as they were before the step."""
    state = fresh(config)
    with torch.no_grad():
        state.model.model.norm.weight[0] = float("nan")
    before = state.model.model.embed_tokens.weight.clone()
    with pytest.raises(DivergedError, match="step 1"):
        run_to_end(state, config, data)
    assert torch.equal(before, state.model.model.embed_tokens.weight)
    assert state.step == 0
