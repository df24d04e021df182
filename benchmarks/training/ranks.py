"""Compare ranks with worker processes: the same step on the same cores, alternately.

    torchrun --nproc-per-node 2 benchmarks/training/ranks.py FOLDER

One process with a worker process per rank takes turns with one process per rank. Prints a line of JSON per round, and
at the end the medians, their ratio, and the share of a step that goes to communication. FOLDER gets a text and a
tokenizer.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch.distributed as dist

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import read_documents
from semilla.corpus.tokenizer_files import find_tokenizer
from semilla.events import silent
from semilla.pipeline.phases import corpus_download, tokenizer_training
from semilla.pipeline.prepared_training import read_data
from semilla.records import names
from semilla.system.allocator import keep_freed_blocks
from semilla.tokenizer.tokenizer import read_tokenizer
from semilla.training.data import TrainingData, cut_batch, plan_epoch
from semilla.training.loop import train
from semilla.training.parallel.ranks import Ranks, RankWorkers, join_ranks
from semilla.training.parallel.workers import Workers
from semilla.training.state import build_state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    config = PipelineConfiguration.model_validate(
        {
            "corpus_source": "sample", "corpus_size_mb": 1, "tokenizer_vocab_size": 1500,
            "output_directory": str(options.folder), "training_hyperparameters": {"precision": "float32"},
        }
    )  # fmt: skip
    with join_ranks() as (ranks, store):
        ranks.start(config, store)
        if ranks.place.rank == 0:
            prepare(config)
        pause(ranks)
        keep_freed_blocks()
        tokenizer = read_tokenizer(find_tokenizer(config)[0])
        data, _ = read_data(config, read_documents(options.folder), tokenizer, progress=silent)
        compare(ranks, config, data, options, vocab_size=tokenizer.vocab_size)


def prepare(config: PipelineConfiguration) -> None:
    directory = Path(config.output_directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / names.LOCK).touch()
    corpus_download.run(config, progress=silent)
    tokenizer_training.run(config, progress=silent)


def compare(
    ranks: Ranks,
    config: PipelineConfiguration,
    data: TrainingData,
    options: argparse.Namespace,
    *,
    vocab_size: int,
) -> None:
    rounds: list[dict[str, float]] = []
    alone = config.change(num_threads=ranks.place.size)
    for _ in range(options.rounds):
        with TimedWorkers(config) as workers:
            ranked = measure(config, data, workers, steps=options.steps, vocab_size=vocab_size)
            ranked |= {"communication": median(workers.waits[2:]) / ranked["step_s"]}
        pause(ranks)
        if ranks.place.rank == 0:
            with Workers(alone) as workers:
                single = measure(alone, data, workers, steps=options.steps, vocab_size=vocab_size)
            rounds.append({"ranks_s": ranked["step_s"], "workers_s": single["step_s"],
                           "communication": ranked["communication"]})  # fmt: skip
            print(json.dumps(rounds[-1]), flush=True)
        pause(ranks)
    if ranks.place.rank == 0:
        medians = {name: median(one[name] for one in rounds) for name in rounds[0]}
        ratios = [one["ranks_s"] / one["workers_s"] for one in rounds]
        print(
            json.dumps(
                {"ranks": ranks.place.size, **medians, "ratio": median(ratios), "cut_s": time_cut(data)}
            )
        )


class TimedWorkers(RankWorkers):
    """Notes how long each step waits for other ranks, and for the network between them."""

    def __init__(self, config: PipelineConfiguration) -> None:
        super().__init__(config)
        self.waits = [0.0]
        wait = self.ranks.wait

        def timed(work: Any) -> None:
            began_s = time.perf_counter()
            wait(work)
            self.waits[-1] += time.perf_counter() - began_s

        self.ranks.wait = timed  # type: ignore[method-assign]

    def update(self, optimizers: Any) -> None:
        super().update(optimizers)
        self.waits.append(0.0)

    def close(self) -> None:
        super().close()
        del self.ranks.wait


def measure(
    config: PipelineConfiguration, data: TrainingData, workers: Workers, *, steps: int, vocab_size: int
) -> dict[str, float]:
    """Median seconds of a step; the first two warm up."""
    state = build_state(config, vocab_size=vocab_size, precision="float32")
    times = []
    for info in train(state, config=config, data=data, workers=workers):
        times.append(info.elapsed_s)
        if len(times) == steps:
            break
    return {"step_s": median(times[2:])}


def time_cut(data: TrainingData) -> float:
    """Seconds to cut a batch: all that could be done while gradients are added up."""
    starts = plan_epoch(data, 1)[: data.batch_size]
    began_s = time.perf_counter()
    for _ in range(20):
        cut_batch(data, starts)
    return (time.perf_counter() - began_s) / 20


def pause(ranks: Ranks) -> None:
    """Wait until every rank is here, without using a core."""
    ranks.wait(dist.barrier(async_op=True))


if __name__ == "__main__":
    main()
