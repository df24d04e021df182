"""A run over the processes of torchrun: rank 0 runs the main job, and the others take part in its training.

All end with the exit code of rank 0, which alone displays and writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import NetworkError, SemillaError, translate_error
from semilla.pipeline.phases import model_training
from semilla.system import interrupts
from semilla.system.allocator import return_freed_blocks
from semilla.system.ranks import read_place
from semilla.training.checkpoints.checkpoint import describe_config
from semilla.training.devices import choose_device
from semilla.training.environment import choose_environment
from semilla.training.parallel.ranks import Ranks, RankWorkers, TrialWorkers, join_ranks
from semilla.training.rehearsal import rehearse_with


@contextmanager
def lead(config: PipelineConfiguration) -> Iterator[None]:
    """For rank 0: run the main job inside. The others learn how it ended."""
    with join_ranks() as (ranks, store):
        code = 0
        try:
            ranks.start(config, store)
            yield
        except BaseException as error:
            code = translate_error(error).status
            raise
        finally:
            interrupts.ignore_signals()  # as below
            with suppress(NetworkError):
                ranks.board.tell(outcome=code)


def follow(config: PipelineConfiguration) -> int:
    """For the other ranks: take part in the training and return the exit code of rank 0.

    Raises what ended the run when rank 0 cannot report it.
    """
    try:
        with interrupts.catch_signals():
            return _follow(config)
    finally:
        # From here, torchrun may send SIGTERM because another rank has ended.
        interrupts.ignore_signals()


def _follow(config: PipelineConfiguration) -> int:
    with ExitStack() as stack:
        try:
            ranks, store = stack.enter_context(join_ranks())
        except NetworkError as error:
            if read_place().local_rank == 0:
                raise
            return error.status
        try:
            ranks.start(config, store)
            _take_part(ranks, config)
            return int(ranks.board.read(0, "outcome"))
        except Exception as error:
            failure = translate_error(error)
            ranks.board.tell_failure(failure)
            code = ranks.board.wait_for_outcome()
            if code is None and ranks.board.speaks_for_all():
                raise failure from error
            return failure.status if code is None else code


def rehearse_ranks(config: PipelineConfiguration) -> dict[str, float]:
    """Rank 0 times steps of all ranks: the figures of ``Rehearsal``, to be called once, before the training."""
    assert Ranks.current is not None
    config = choose_device(config)
    precision = choose_environment(config.training_hyperparameters, device=config.device).precision
    Ranks.current.board.tell(trial={"config": describe_config(config), "precision": precision})
    return _rehearse(config, precision)


def _rehearse(config: PipelineConfiguration, precision: str) -> dict[str, float]:
    try:
        with TrialWorkers(config) as workers:
            return asdict(rehearse_with(workers, config, precision=precision, most_s=0.0))
    finally:
        return_freed_blocks()


def _take_part(ranks: Ranks, config: PipelineConfiguration) -> None:
    """Make the steps of a trial and of the training when rank 0 does, and wait for the end of its run."""
    ranks.board.wait_for(0, "trial", "training", "outcome")
    if trial := ranks.board.read(0, "trial"):
        _rehearse(_adopt(trial["config"], config), trial["precision"])
        ranks.board.wait_for(0, "training", "outcome")
    if found := ranks.board.read(0, "training"):
        _train(_adopt(found, config))
    ranks.board.wait_for(0, "outcome")


def _adopt(found: dict[str, Any], own: PipelineConfiguration) -> PipelineConfiguration:
    """The settings of rank 0, with this rank's own directory and threads."""
    shared = PipelineConfiguration.model_validate({**found, "output_directory": own.output_directory})
    return shared.change(num_threads=own.training_hyperparameters.num_threads)


def _train(config: PipelineConfiguration) -> None:
    try:
        with RankWorkers(config) as workers:
            model_training.follow(config, workers)
    except SemillaError as error:
        error.phase = "model_training"
        raise
