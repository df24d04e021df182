"""Training over several processes: the same model, whatever happens to one of them."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ranked import Launch, find_largest_difference, read_losses, train_ranks
from small_runs import assert_four_lines, write_text
from tiny_training import configure, describe_end, list_checkpoints

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import InvalidConfigError
from semilla.events import silent
from semilla.pipeline import dial
from semilla.pipeline.phases import corpus_download, model_training
from semilla.pipeline.prepared_training import open_workers
from semilla.training import rehearsal
from semilla.training.parallel import notices, ranks

SETTINGS: dict[str, Any] = {"optimizer": "muon", "batch_size": 32, "num_epochs": 2}
"""A batch is eight groups of rows, and so can be shared by four ranks."""
MANY_STEPS = {**SETTINGS, "batch_size": 16, "num_epochs": 8}
EVERY_STEP = {"checkpoint_seconds": 1e-6}


@pytest.fixture(autouse=True)
def _no_rank_is_left() -> Iterator[None]:
    yield
    Launch.clear()


def copy_run(prepared: Path, factory: pytest.TempPathFactory, name: str) -> Path:
    return Path(shutil.copytree(prepared, factory.mktemp(name) / "run"))


@pytest.fixture(scope="module")
def alone(_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than 200 steps of one process."""
    directory = copy_run(_prepared, tmp_path_factory, "alone")
    assert train_ranks(directory, size=1, **MANY_STEPS).wait() == [0]
    return directory


@pytest.fixture(scope="module")
def two(_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of an undisturbed training of two ranks."""
    directory = copy_run(_prepared, tmp_path_factory, "two")
    assert train_ranks(directory, size=2, **SETTINGS).wait() == [0, 0]
    return describe_end(directory)


def read_error(launch: Launch, *, category: str, phase: str = "model_training", speaker: int = 0) -> str:
    """The message of the only rank that printed anything."""
    silent_ranks = [rank for rank in range(launch.size) if rank != speaker]
    assert [launch.read_log(rank) for rank in silent_ranks] == [""] * len(silent_ranks)
    return assert_four_lines(launch.read_log(speaker), category=category, phase=phase)


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_together_have_the_losses_of_one_process(directory: Path, alone: Path, size: int) -> None:
    launch = train_ranks(directory, size=size, **MANY_STEPS)
    assert launch.wait() == [0] * size, launch.read_log(0)
    assert [launch.read_log(rank) for rank in range(size)] == [""] * size
    assert find_largest_difference(read_losses(alone), read_losses(directory), range(1, 201)) < 1e-5


def test_killed_ranks_change_no_bit(directory: Path, two: dict[str, Any]) -> None:
    """Three SIGKILLs, of either rank, each between two steps that follow from the seed."""
    draw = random.Random(1)
    for attempt in range(3):
        launch = train_ranks(
            directory, size=2, restarts=attempt, resume_from_checkpoint=attempt > 0, **SETTINGS, **EVERY_STEP
        )
        launch.wait_for_steps((attempt + 1) * draw.randint(3, 6), directory)
        killed = draw.randrange(2)
        launch.kill(killed)
        codes = launch.wait()
        assert codes[killed] == -signal.SIGKILL
        assert codes[1 - killed] == 4, launch.read_log(1 - killed)
        told = read_error(launch, category="killed", speaker=1 - killed)
        assert f"rank {killed} on " in told
    launch = train_ranks(directory, size=2, restarts=3, resume_from_checkpoint=True, **SETTINGS, **EVERY_STEP)
    assert launch.wait() == [0, 0], launch.read_log(0)
    assert describe_end(directory) == two


def test_a_plan_has_the_speed_of_all_ranks_and_changes_no_bit(directory: Path, two: dict[str, Any]) -> None:
    """Both make the steps of the trial before the training."""

    def plan() -> None:
        speed = dial.measure_speed(configure(directory, **SETTINGS))
        (directory.parent / "speed").write_text(str(speed), encoding="utf-8")

    def note(rank: int) -> None:
        compute = ranks.TrialWorkers.compute

        def count(self: Any, batch: Any) -> float:
            with (directory.parent / f"steps {rank}").open("a", encoding="utf-8") as file:
                file.write("1")
            return float(compute(self, batch))

        ranks.TrialWorkers.compute = count

    launch = train_ranks(directory, size=2, prepare=note, plan=plan, **SETTINGS)
    assert launch.wait() == [0, 0], launch.read_log(0)
    assert float((directory.parent / "speed").read_text(encoding="utf-8")) > 0
    steps = [(directory.parent / f"steps {rank}").read_text(encoding="utf-8") for rank in range(2)]
    assert steps == ["1" * 2 * (rehearsal.LEAST_STEPS + 1)] * 2
    assert describe_end(directory) == two


@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_any_rank_stops_all_at_one_step(
    directory: Path, two: dict[str, Any], signalled: int
) -> None:
    """Rank 0 saves a checkpoint; the training goes on as one process, and then again as two."""
    launch = train_ranks(directory, size=2, **SETTINGS)
    launch.wait_for_steps(5, directory)
    launch.kill(signalled, signal.SIGTERM)
    assert launch.wait() == [143, 143]
    read_error(launch, category="interrupted")
    last = max(read_losses(directory))
    assert f"checkpoint_step_{last}.pt" in list_checkpoints(directory)
    launch = train_ranks(directory, size=1, resume_from_checkpoint=True, **SETTINGS)
    launch.wait_for_steps(last + 5, directory)
    launch.kill(0, signal.SIGINT)
    assert launch.wait() == [130]
    launch = train_ranks(directory, size=2, resume_from_checkpoint=True, **SETTINGS)
    assert launch.wait() == [0, 0], launch.read_log(0)
    losses = describe_end(directory)["losses"]
    assert losses["val_losses"] == pytest.approx(two["losses"]["val_losses"], abs=1e-5)
    assert losses["train_losses"] == pytest.approx(two["losses"]["train_losses"], abs=1e-5)


def test_a_rank_with_another_setting_is_named(directory: Path) -> None:
    launch = train_ranks(directory, size=2, last={"learning_rate": 2e-3}, **SETTINGS)
    assert launch.wait() == [64, 64]
    told = read_error(launch, category="invalid_config", phase="run")
    assert "rank 1 on " in told
    assert "learning_rate 0.0003 -> 0.002" in told
    assert list_checkpoints(directory) == set()


def test_a_rank_with_another_version_is_named(directory: Path) -> None:
    def prepare(rank: int) -> None:
        ranks.__version__ = f"1.0.{rank}"

    launch = train_ranks(directory, size=2, prepare=prepare, **SETTINGS)
    assert launch.wait() == [65, 65]
    assert "differs from rank 0: semilla 1.0.0 -> 1.0.1" in read_error(
        launch, category="incompatible", phase="run"
    )


def test_a_rank_with_another_text_is_named(directory: Path, tmp_path: Path) -> None:
    """Its own output directory has another text: the two machines do not share a file system."""
    other = tmp_path / "other" / "run"
    shutil.copytree(directory, other)
    write_text(other.parent / "libro.txt", seed=1)
    corpus_download.run(configure(other), progress=silent)
    launch = train_ranks(directory, size=2, last={"output_directory": str(other)}, **SETTINGS)
    assert launch.wait() == [4, 4]
    told = read_error(launch, category="incompatible")
    assert "rank 1 on " in told
    assert "text " in told
    assert "tokenizer" not in told


def test_a_rank_without_the_text_is_named(directory: Path, tmp_path: Path) -> None:
    launch = train_ranks(directory, size=2, last={"output_directory": str(tmp_path / "empty")}, **SETTINGS)
    assert launch.wait() == [4, 4]
    assert "rank 1 on " in launch.read_log(0)
    assert launch.read_log(1) == ""


def test_a_full_disk_of_rank_0_ends_all(directory: Path) -> None:
    """The earlier checkpoint stays, and the training goes on from it."""
    assert train_ranks(directory, size=2, **{**SETTINGS, "num_epochs": 1}).wait() == [0, 0]
    before = list_checkpoints(directory)
    assert before

    def prepare(rank: int) -> None:
        if rank == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    launch = train_ranks(directory, size=2, prepare=prepare, resume_from_checkpoint=True, **SETTINGS)
    assert launch.wait() == [4, 4]
    read_error(launch, category="disk_space")
    assert list_checkpoints(directory) == before
    assert train_ranks(directory, size=2, resume_from_checkpoint=True, **SETTINGS).wait() == [0, 0]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_silent_rank_ends_the_others(directory: Path, lost: int) -> None:
    """A machine behind a dead network is as silent as a process that was stopped; the connection stays open."""

    def prepare(rank: int) -> None:
        notices.LIMIT_S = notices.GRACE_S = 20

    launch = train_ranks(directory, size=2, prepare=prepare, **MANY_STEPS)
    launch.wait_for_steps(3, directory)
    launch.kill(lost, signal.SIGSTOP)
    launch.await_end(1 - lost)
    launch.kill(lost)
    assert launch.wait()[1 - lost] == 4
    told = assert_four_lines(launch.read_log(1 - lost), category="network", phase="model_training")
    assert f"no sign of life from rank {lost} on " in told


@pytest.mark.slow(reason="sleeps longer than a rank may be silent")
def test_ranks_wait_while_rank_0_is_busy(directory: Path, two: dict[str, Any]) -> None:
    """An evaluation may take longer than a rank may be silent; the other rank waits, and no bit changes."""

    def prepare(rank: int) -> None:
        notices.LIMIT_S = 20
        evaluate = model_training.finish_epoch

        def take_long(*arguments: Any, **options: Any) -> Any:
            time.sleep(1.5 * notices.LIMIT_S)
            return evaluate(*arguments, **options)

        model_training.finish_epoch = take_long

    launch = train_ranks(directory, size=2, prepare=prepare, **SETTINGS)
    assert launch.wait() == [0, 0], launch.read_log(0)
    assert describe_end(directory) == two


def test_a_lost_store_ends_all(directory: Path) -> None:
    """The machine that holds it is gone, or its port is closed."""
    launch = train_ranks(directory, size=2, **MANY_STEPS)
    launch.wait_for_steps(3, directory)
    launch.close_store()
    assert launch.wait() == [4, 4]
    assert "the store of torchrun cannot be reached" in read_error(launch, category="network")


def test_a_store_that_never_was_is_said(directory: Path) -> None:
    def prepare(rank: int) -> None:
        ranks.LIMIT_S = 2
        os.environ["MASTER_PORT"] = "9"

    launch = train_ranks(directory, size=1, prepare=prepare, **SETTINGS)
    assert launch.wait() == [74]
    assert "the store of torchrun cannot be reached" in read_error(launch, category="network", phase="run")


def test_a_failure_of_another_rank_is_told_by_rank_0(directory: Path) -> None:
    def prepare(rank: int) -> None:
        if rank == 1:
            ranks.RankWorkers.compute = fail

    def fail(*_: object) -> None:
        raise MemoryError

    launch = train_ranks(directory, size=2, prepare=prepare, **SETTINGS)
    assert launch.wait() == [4, 4]
    told = read_error(launch, category="oom")
    assert "rank 1 on " in told


def test_torchrun_starts_no_other_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that is not a run's would be made by every rank."""
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    for name in ("RANK", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "0")
    with pytest.raises(InvalidConfigError, match="no other command than `run`"):
        open_workers(PipelineConfiguration())
