"""Worker processes compute together what one process computes, and leave nothing behind."""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import InterruptedRunError, KilledError
from semilla.system import connection, endings, interrupts
from semilla.system.endings import read_marks
from semilla.training.data import TrainingData, cut_batch, plan_epoch
from semilla.training.evaluate import evaluate
from semilla.training.loop import compute_gradients, train
from semilla.training.micro_batches import (
    GROUP_TARGETS,
    count_group_rows,
    count_processes,
    cut_target_groups,
    cut_worker_batches,
)
from semilla.training.parallel import workers as workers_module
from semilla.training.parallel.workers import Workers
from semilla.training.state import RunState, build_state

from .small_data import make_batch, make_config, make_data

VOCAB_SIZE = 1500
"""Large enough for a sampled softmax."""


@pytest.fixture
def config() -> PipelineConfiguration:
    """Batches large enough for two processes, and two threads."""
    return make_config(batch_size=32, max_sequence_length=64, num_threads=2)


@pytest.fixture
def data(config: PipelineConfiguration) -> TrainingData:
    return make_data(num_tokens=10_000, config=config)


def build(config: PipelineConfiguration) -> RunState:
    return build_state(config, vocab_size=VOCAB_SIZE, precision="float32")


@contextmanager
def share(config: PipelineConfiguration, state: RunState, data: TrainingData) -> Iterator[Workers]:
    with Workers(config) as workers:
        workers.share(state, data)
        yield workers


def compute(workers: Workers, data: TrainingData, **changes: Any) -> tuple[float, float]:
    batch = make_batch(*cut_batch(data, plan_epoch(data, 1)[: data.batch_size]), **changes)
    return compute_gradients(batch, workers, max_norm=1e9)


def list_workers() -> list[int]:
    """Ids of the child processes of this one that have not been waited for."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8")
    return [int(number) for number in children.split()]


def test_two_processes_compute_what_one_computes(config: PipelineConfiguration, data: TrainingData) -> None:
    """Loss, norm, the gradient of every parameter, and the parameters after the update."""
    together, alone = build(config), build(config)
    with share(config, together, data) as workers:
        assert workers.count == 2
        found = compute(workers, data)
        workers.update(together.optimizers)
    with share(make_config(batch_size=32, max_sequence_length=64), alone, data) as workers:
        assert workers.count == 1
        assert found == pytest.approx(compute(workers, data), rel=1e-5)
        workers.update(alone.optimizers)
    assert not torch.equal(alone.model.embedding_VD, build(config).model.embedding_VD)
    for one, other in zip(together.model.parameters(), alone.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_two_processes_evaluate_what_one_evaluates(config: PipelineConfiguration, data: TrainingData) -> None:
    """Held-out batches are measured by both processes, each by one, and added in their order; the bits are the same."""
    state = build(config)
    held_out = replace(data.held_out[0], tokens=np.resize(data.held_out[0].tokens, 3 * 32 * 64 + 100))
    data = replace(data, held_out=(held_out,))
    with share(config, state, data) as workers:
        assert workers.count == 2
        asked: list[str] = []
        request = workers.processes[0].request
        workers.processes[0].request = lambda name, *rest: (asked.append(name), request(name, *rest))  # type: ignore[method-assign]
        together = evaluate(state.model, data, measure=workers.measure)
        with workers.limit_threads():
            alone = evaluate(state.model, data)
    assert together == alone
    assert asked == ["measure", "measure"]


def test_a_batch_with_fewer_rows_than_processes_is_computed_once(
    config: PipelineConfiguration, data: TrainingData
) -> None:
    """The last batch of an epoch may be a single sequence."""
    state = build(config)
    one_row = cut_batch(data, plan_epoch(data, 1)[:1])
    with share(config, state, data) as workers:
        compute(workers, data)
        loss, _ = compute_gradients(make_batch(*one_row), workers, max_norm=1e9)
    expected = torch.nn.functional.cross_entropy(
        state.model.compute_logits(state.model(torch.from_numpy(one_row[0]))).flatten(0, 1),
        torch.from_numpy(one_row[1]).flatten(),
    )
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def collect_weights(
    state: RunState, config: PipelineConfiguration, data: TrainingData, *, steps: int
) -> list[np.ndarray[Any, Any]]:
    with closing(train(state, config=config, data=data)) as infos:
        for _ in range(steps):
            next(infos)
    return [parameter.detach().numpy().copy() for parameter in state.model.parameters()]


def test_interrupted_training_gives_the_same_bits(config: PipelineConfiguration, data: TrainingData) -> None:
    """Dropout and negative samples included, with new workers after the interruption."""
    whole = collect_weights(build(config), config, data, steps=4)
    state = build(config)
    collect_weights(state, config, data, steps=1)
    again = collect_weights(state, config, data, steps=3)
    assert all(np.array_equal(one, other) for one, other in zip(whole, again, strict=True))


def test_nothing_is_left_behind(config: PipelineConfiguration, data: TrainingData) -> None:
    """No process and no open file; each weight has a storage of its own, so it can be saved alone."""
    before, files = list_workers(), len(list(Path("/proc/self/fd").iterdir()))
    state, threads = build(config), torch.get_num_threads()
    steps = train(state, config=config, data=data)
    next(steps)
    assert len(list_workers()) == len(before) + 1
    weight = next(state.model.parameters())
    assert weight.untyped_storage().nbytes() == weight.nbytes
    steps.close()
    assert list_workers() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    assert torch.get_num_threads() == threads


def test_workers_end_with_their_context(config: PipelineConfiguration, data: TrainingData) -> None:
    """Also when reading the text fails. A training that was given workers leaves them running."""
    before = list_workers()
    with Workers(config) as workers:
        assert len(list_workers()) == len(before) + 1
        with closing(train(build(config), config=config, data=data, workers=workers)) as steps:
            next(steps)
        assert len(list_workers()) == len(before) + 1
    assert list_workers() == before


def test_workers_ignore_signals(config: PipelineConfiguration, data: TrainingData) -> None:
    """A supervisor or ``pkill`` may signal all processes. Workers continue, so that the step can be saved."""
    state, before = build(config), set(list_workers())
    with closing(train(state, config=config, data=data)) as steps:
        next(steps)
        (worker,) = set(list_workers()) - before
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(worker, number)
        assert next(steps).step == 2


@pytest.mark.parametrize(("num_kills", "kind"), [(0, KilledError), (1, MemoryError)])
def test_a_killed_worker_lacked_memory_if_the_kernel_counted_it(
    config: PipelineConfiguration,
    data: TrainingData,
    monkeypatch: pytest.MonkeyPatch,
    num_kills: int,
    kind: type[Exception],
) -> None:
    """Anybody may send SIGKILL; the kernel counts its own. The step is not counted."""
    state, before = build(config), set(list_workers())
    with closing(train(state, config=config, data=data)) as steps:
        next(steps)
        (worker,) = set(list_workers()) - before
        marks = read_marks()
        monkeypatch.setattr(
            endings, "read_marks", lambda: {**marks, "oom_kills": marks["oom_kills"] + num_kills}
        )
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(kind, match="killed"):
            next(steps)
    assert state.step == 1
    assert set(list_workers()) == before


def test_a_stopped_worker_is_continued(config: PipelineConfiguration, data: TrainingData) -> None:
    """``kill -STOP`` does not hang the training."""
    state, before = build(config), set(list_workers())
    with closing(train(state, config=config, data=data)) as steps:
        next(steps)
        (worker,) = set(list_workers()) - before
        os.kill(worker, signal.SIGSTOP)
        assert next(steps).step == 2


@pytest.mark.parametrize(("asks", "kind"), [(True, InterruptedRunError), (False, KilledError)])
def test_a_worker_that_stays_silent_ends_the_training(
    config: PipelineConfiguration,
    data: TrainingData,
    monkeypatch: pytest.MonkeyPatch,
    asks: bool,
    kind: type[Exception],
) -> None:
    """After a time limit, which is shorter when the run is asked to stop. The worker does not outlive it."""
    monkeypatch.setattr(connection, "wake", lambda process: None)
    if asks:
        monkeypatch.setattr(workers_module, "GRACE_S", 1)
    before = set(list_workers())
    with interrupts.catch_signals(), closing(train(build(config), config=config, data=data)) as steps:
        next(steps)
        (worker,) = set(list_workers()) - before
        os.kill(worker, signal.SIGSTOP)
        if asks:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            monkeypatch.setattr(connection, "TIMEOUT_S", 1)
        with pytest.raises(kind):
            next(steps)
    assert set(list_workers()) == before


def test_errors_of_workers_are_raised(config: PipelineConfiguration, data: TrainingData) -> None:
    """Such as torch's error when it cannot allocate memory."""
    state = build(config)
    tokens = np.zeros((32, 64), dtype=np.int64)
    with share(config, state, data) as workers, pytest.raises(RuntimeError):
        workers.compute(make_batch(tokens, tokens[:24]))


ENDLESS = """
import pickle, sys
from semilla.training.parallel.workers import Workers
config, state, data = pickle.load(sys.stdin.buffer)
with Workers(config) as workers:
    workers.share(state, data)
    print(workers.processes[0].pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("is_stopped", [False, True])
def test_workers_end_with_the_training_process(
    config: PipelineConfiguration, data: TrainingData, is_stopped: bool
) -> None:
    """Also when it is killed, and even if they were stopped before that."""
    child = subprocess.Popen([sys.executable, "-c", ENDLESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    pickle.dump((config, build(config), data), child.stdin)
    child.stdin.flush()
    process_id = int(child.stdout.readline())
    worker = os.pidfd_open(process_id)
    if is_stopped:
        os.kill(process_id, signal.SIGSTOP)
    child.kill()
    child.communicate()
    ended = select.poll()
    ended.register(worker)
    assert ended.poll(60_000)
    os.close(worker)


@pytest.mark.parametrize(
    ("batch_size", "length", "num_threads", "expected"),
    [(32, 128, 2, 2), (32, 128, 16, 4), (4, 32, 2, 1), (1, 4096, 2, 1), (2, 4096, 8, 2), (32, 128, 1, 1)],
)
def test_the_number_of_processes(batch_size: int, length: int, num_threads: int, expected: int) -> None:
    """At most one per thread, per sequence and per 1,024 tokens."""
    assert count_processes(batch_size, length, num_threads=num_threads) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize(("batch_size", "length"), [(32, 128), (33, 64), (1, 1024), (5, 300), (7, 100)])
def test_worker_batches_are_the_batch(batch_size: int, length: int, count: int) -> None:
    """In order, none empty, each a whole number of groups but the last, none more than a group larger than another."""
    slices = cut_worker_batches(batch_size, length, count=count)
    assert np.concatenate([np.arange(batch_size)[rows] for rows in slices]).tolist() == list(
        range(batch_size)
    )
    group_rows = count_group_rows(length)
    assert all(rows.start % group_rows == 0 for rows in slices)
    groups = [-(-(rows.stop - rows.start) // group_rows) for rows in slices]
    assert min(groups) >= max(1, max(groups) - 1)


@pytest.mark.parametrize(
    ("batch_size", "length", "expected"),
    [
        (32, 128, {256: 16}),
        (5, 64, {256: 1, 64: 1}),
        (3, 300, {256: 3, 44: 3}),
        (2, 1024, {256: 8}),
        (7, 100, {200: 3, 100: 1}),
        (2, 200, {200: 2}),
    ],
)
def test_groups_are_whole_rows_or_parts_of_one(
    batch_size: int, length: int, expected: dict[int, int]
) -> None:
    """Every target is in one group of at most 256; the rows of one worker have the groups they have in the batch."""

    def list_groups(rows: slice) -> list[tuple[int, int]]:
        first = rows.start * length
        runs = cut_target_groups(rows.stop - rows.start, length)
        return [(first + start, size) for run, size in runs for start in range(run.start, run.stop, size)]

    groups = list_groups(slice(0, batch_size))
    assert Counter(size for _, size in groups) == expected
    assert max(expected) <= GROUP_TARGETS
    for (start, size), (following, _) in pairwise([*groups, (batch_size * length, 0)]):
        assert start + size == following
    for count in (2, 3):
        parts = cut_worker_batches(batch_size, length, count=count)
        assert [group for rows in parts for group in list_groups(rows)] == groups


def test_weights_do_not_depend_on_the_number_of_workers() -> None:
    """After 50 steps with dropout, sampled softmax and short contexts, 1 to 4 processes agree but for rounding.

    Of each matrix the norm is compared: Adam makes rounding as large as any step where a gradient is next to nothing.
    """
    found = []
    for num_threads in (1, 2, 3, 4):
        config = make_config(
            batch_size=64, max_sequence_length=64, num_threads=num_threads, num_epochs=8, dropout=0.2,
            sampled_output_fraction=0.9, short_context_fraction=0.3, learning_rate=3e-4,
        )  # fmt: skip
        assert Workers(config).count == num_threads
        data = make_data(num_tokens=32_000, vocab_size=VOCAB_SIZE, config=config)
        assert config.training_hyperparameters.num_epochs * data.steps_per_epoch >= 50
        state = build_state(config, vocab_size=VOCAB_SIZE, precision="float32")
        found.append(collect_weights(state, config, data, steps=50))
    for other in found[1:]:
        for name, mine, theirs in zip(dict(state.model.named_parameters()), found[0], other, strict=True):
            assert np.linalg.norm(mine - theirs) <= 1e-5 * np.linalg.norm(mine), name
