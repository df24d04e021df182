"""One contender of the training benchmark, in a process of its own, which trains on request and reports.

    python benchmarks/training/contenders.py NAME RUN_DIRECTORY      (started by run.py)

Each request is a line, ``steps N``, ``evaluate``, ``products`` or ``memory``; each answer is one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from finished_run import read_finished_run
from torch import Tensor, nn

from semilla.configuration.schema import PipelineConfiguration
from semilla.model import operators
from semilla.system.allocator import keep_freed_blocks
from semilla.system.footprint import read_private_mb
from semilla.training import loss, micro_batches, sampled_softmax
from semilla.training import optimizer as optimizers
from semilla.training.data import NO_TARGET, TrainingData, batch_held_out, build_data
from semilla.training.environment import DTYPES, measure_fastest_precision
from semilla.training.evaluate import evaluate
from semilla.training.loop import train
from semilla.training.parallel import worker, workers
from semilla.training.state import RunState, build_state

TEXTBOOK_RATE = 3e-4
PRODUCT_ROUNDS = 15


class Contender(Protocol):
    """Trains while it is iterated and yields the number of target tokens of each step."""

    def steps(self) -> Iterator[int]: ...

    def evaluate(self) -> float:
        """Nats per token over every validation token."""
        ...


class Ours:
    """The package's own loop, with its improvements or without one of them."""

    def __init__(
        self,
        data: TrainingData,
        config: PipelineConfiguration,
        *,
        vocab_size: int,
        processes: workers.Workers,
    ) -> None:
        precision = config.training_hyperparameters.precision
        if precision == "auto":
            precision = measure_fastest_precision()
        self.data, self.config, self.processes = data, config, processes
        self.state: RunState = build_state(config, vocab_size=vocab_size, precision=precision)

    def steps(self) -> Iterator[int]:
        infos = train(self.state, config=self.config, data=self.data, workers=self.processes)
        return (info.num_tokens for info in infos)

    def evaluate(self) -> float:
        return evaluate(self.state.model, self.data).loss


class Textbook(nn.Module):
    """The textbook loop: torch's own encoder with a causal mask, AdamW, all logits at once, float32."""

    def __init__(self, data: TrainingData, config: PipelineConfiguration, *, vocab_size: int) -> None:
        super().__init__()
        shape, self.settings = config.model_architecture, config.training_hyperparameters
        self.data = data
        self.tokens = nn.Embedding(vocab_size, shape.d_model)
        self.positions = nn.Embedding(data.length, shape.d_model)
        layer = nn.TransformerEncoderLayer(
            shape.d_model, shape.num_heads, shape.dim_feedforward, dropout=0.1, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, shape.num_layers)
        self.output = nn.Linear(shape.d_model, vocab_size)

    def forward(self, ids_BT: Tensor) -> Tensor:
        length = ids_BT.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        embedded = self.tokens(ids_BT) + self.positions(torch.arange(length))
        return self.output(self.encoder(embedded, mask=mask, is_causal=True))

    def steps(self) -> Iterator[int]:
        windows = list_windows(self.data)
        optimizer = torch.optim.AdamW(self.parameters(), lr=TEXTBOOK_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.settings.num_epochs)
        loader = torch.utils.data.DataLoader(windows, batch_size=self.data.batch_size, shuffle=True)
        for _ in range(self.settings.num_epochs):
            self.train()
            for tokens in loader:
                optimizer.zero_grad()
                logits = self(tokens[:, :-1])
                loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters(), 1.0)
                optimizer.step()
                yield tokens[:, 1:].numel()
            schedule.step()

    def evaluate(self) -> float:
        self.eval()
        found = evaluate_logits(self, self.data)
        self.train()
        return found


class HuggingFace:
    """``transformers.Trainer`` over LlamaForCausalLM of the same shape, with its defaults."""

    def __init__(self, data: TrainingData, config: PipelineConfiguration, *, vocab_size: int) -> None:
        from transformers import LlamaConfig, LlamaForCausalLM

        shape = config.model_architecture
        self.data, self.settings = data, config.training_hyperparameters
        self.model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocab_size,
                hidden_size=shape.d_model,
                intermediate_size=shape.dim_feedforward,
                num_hidden_layers=shape.num_layers,
                num_attention_heads=shape.num_heads,
                max_position_embeddings=data.length,
                tie_word_embeddings=shape.tie_embeddings,
            )
        )

    def train(self, after_step: Callable[[int], None]) -> None:
        """Give control to Trainer, which calls back after every step."""
        from transformers import Trainer, TrainerCallback, TrainingArguments

        class Hook(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, *_: Any, **__: Any) -> None:
                after_step(data.batch_size * (data.length - 1))  # it shifts the labels itself

        data = self.data
        windows = [
            {"input_ids": row, "labels": row} for row in list_windows(data, stride=data.length)[:, :-1]
        ]
        with tempfile.TemporaryDirectory() as folder:  # Trainer makes one, though nothing is saved
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=self.settings.num_epochs,
                per_device_train_batch_size=data.batch_size,
                learning_rate=TEXTBOOK_RATE,
                lr_scheduler_type="cosine",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            )
            Trainer(self.model, arguments, train_dataset=windows, callbacks=[Hook()]).train()

    def evaluate(self) -> float:
        self.model.eval()
        found = evaluate_logits(lambda ids: self.model(ids).logits, self.data)
        self.model.train()
        return found


def list_windows(data: TrainingData, *, stride: int | None = None) -> Tensor:
    """Token ids [N, T + 1] of windows that start every ``stride`` tokens; by default they overlap by half."""
    starts = np.arange(0, len(data.stream) - data.length - 1, stride or data.length // 2)
    return torch.from_numpy(data.stream[starts[:, None] + np.arange(data.length + 1)].astype(np.int64))


@torch.no_grad()
def evaluate_logits(compute_logits: Callable[[Tensor], Tensor], data: TrainingData) -> float:
    """Nats per token over every validation token once, as the package's own evaluation defines it."""
    nats, count = 0.0, 0
    for inputs, targets in batch_held_out(data.held_out, length=data.length, batch_size=data.batch_size):
        logits, expected = compute_logits(torch.from_numpy(inputs)), torch.from_numpy(targets).flatten()
        losses = F.cross_entropy(logits.flatten(0, 1), expected, reduction="sum", ignore_index=NO_TARGET)
        nats += losses.item()
        count += int((expected != NO_TARGET).sum())
    return nats / count


WITHOUT: dict[str, dict[str, Any]] = {
    "without sampled output": {"sampled_output_fraction": 0.0, "short_context_fraction": 0.0},
    "without short contexts": {"short_context_fraction": 0.0},
    "without muon": {"optimizer": "adamw"},
    "without dropout": {"dropout": 0.0},
    "in float32": {"precision": "float32"},
}
"""Improvements that a setting turns off. The first turns off two, because the rest is compared with the machine's
limit."""


def use_torch_muon() -> None:
    """torch.optim.Muon: one matrix after the other, always in bfloat16."""

    def build(groups: Any, *, compute_dtype: Any, **settings: Any) -> torch.optim.Optimizer:  # noqa: ARG001
        return torch.optim.Muon(groups, adjust_lr_fn="match_rms_adamw", **settings)

    optimizers.Muon = build  # type: ignore[assignment,misc]


def hold_all_logits() -> None:
    loss.CHUNK_ROWS = 1 << 30


def sample_evenly() -> None:
    """Draw negative samples uniformly."""
    TrainingData.token_counts = np.zeros(0, dtype=np.int64)  # type: ignore[assignment]


def share_samples() -> None:
    """One sample for half of a batch: its 850 different targets, and as many negative samples."""
    micro_batches.GROUP_TARGETS = 2_048
    sampled_softmax.SAMPLE_SIZE = 1_088


def score_whole_squares() -> None:
    """Compute attention scores of all positions with all, and mask the later ones."""
    operators.QUERY_ROWS = 1 << 30


def compute_in_threads() -> None:
    """Compute the whole batch in one process, every operation in all threads."""
    workers.count_processes = lambda *_, **__: 1


def keep_no_blocks() -> None:
    worker.keep_freed_blocks = lambda: False


REPLACED: dict[str, Callable[[], None]] = {
    "with uniform samples": sample_evenly,
    "with shared samples": share_samples,
    "with whole attention squares": score_whole_squares,
    "without chunked loss": hold_all_logits,
    "with torch's muon": use_torch_muon,
    "without worker processes": compute_in_threads,
    "without kept blocks": keep_no_blocks,
}
CONTENDER = "SEMILLA_BENCHMARK_CONTENDER"
"""The variable that tells a worker process what is replaced."""
KEEPS_NO_BLOCKS = {"textbook", "hugging face trainer", "without kept blocks"}
"""These run with the C library's default allocator settings."""


def make_worker(settings: dict[str, Any]) -> Callable[[tuple[Any, ...]], Any]:
    """A worker in which the same is replaced as in the process that started it."""
    REPLACED[os.environ[CONTENDER]]()
    return worker.make_worker(settings)


def replace_in_workers(name: str) -> None:
    """Let worker processes import this file, and begin with ``make_worker``."""
    make_worker.__module__ = Path(__file__).stem
    workers.make_worker = make_worker
    path = os.pathsep.join([*(str(Path(__file__).parents[place]) for place in (0, 1)), *sys.path])
    os.environ.update({CONTENDER: name, "PYTHONPATH": path})


@contextlib.contextmanager
def open_contender(name: str, run_directory: Path, *, epochs: int, seed: int, threads: int) -> Iterator[Any]:
    """The contender of this name, on the text and the tokenizer of a finished run.

    As in a run of the package, its worker processes start while the text is encoded; they end with the context.
    """
    if name not in KEEPS_NO_BLOCKS:
        keep_freed_blocks()
    if name in REPLACED:
        REPLACED[name]()
        replace_in_workers(name)
    hyperparameters = {"num_epochs": epochs, "num_threads": threads, **WITHOUT.get(name, {})}
    config = PipelineConfiguration.model_validate({"seed": seed, "training_hyperparameters": hyperparameters})
    rivals = {
        "textbook": Textbook,
        "textbook with kept blocks": Textbook,
        "hugging face trainer": HuggingFace,
    }
    with contextlib.nullcontext() if name in rivals else workers.Workers(config) as processes:
        tokenizer, documents = read_finished_run(run_directory)
        data = build_data(documents, tokenizer, config)
        torch.manual_seed(config.seed)
        build = rivals.get(name) or partial(Ours, processes=processes)
        yield build(data, config, vocab_size=tokenizer.vocab_size)


def measure_products(contender: Any) -> dict[str, float]:
    """GFLOP/s of the matrix products of a step, weighted by their share of its arithmetic: the machine's limit."""
    data, shape = contender.data, PipelineConfiguration().model_architecture
    rows, width, inner, vocab = data.batch_size * data.length, shape.d_model, shape.dim_feedforward, 8000
    layer = [(rows, width, width)] * 4 + [(rows, width, inner)] * 3
    shapes = [(512, width, vocab)] * (rows // 512) + layer * shape.num_layers
    found = {}
    for name, dtype in DTYPES.items():
        pairs = [(torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)) for m, k, n in shapes]
        times_s = []
        for _ in range(PRODUCT_ROUNDS if name == "float32" or measure_fastest_precision() == name else 1):
            began_s = time.perf_counter()
            for left, right in pairs:
                torch.mm(left, right)
            times_s.append(time.perf_counter() - began_s)
        found[name] = sum(2 * m * k * n for m, k, n in shapes) / statistics.median(times_s) / 1e9
    return found


class Conversation:
    """Answers requests between steps, whichever loop makes them."""

    def __init__(self, contender: Any) -> None:
        self.contender, self.left, self.tokens, self.began_s = contender, 0, 0, 0.0

    def after_step(self, tokens: int) -> None:
        """Count a step; after the last requested one, answer and wait for the next request."""
        self.tokens += tokens
        self.left -= 1
        if self.left == 0:
            answer(tokens=self.tokens, seconds=time.perf_counter() - self.began_s)
            self.wait()

    def end(self) -> None:
        """After the training: answer with the steps made since the request, later with none; still evaluate."""
        while True:
            answer(tokens=self.tokens, seconds=time.perf_counter() - self.began_s if self.tokens else 0.0)
            self.wait()

    def wait(self) -> None:
        """Answer requests that need no step; return when steps are requested."""
        for line in sys.stdin:
            request, *number = line.split()
            if request == "steps":
                self.left, self.tokens, self.began_s = int(number[0]), 0, time.perf_counter()
                return
            if request == "evaluate":
                answer(loss=self.contender.evaluate())
            elif request == "products":
                answer(**measure_products(self.contender))
            elif request == "memory":
                answer(peak_mb=measure_peak_mb())
        sys.exit()


def measure_peak_mb() -> float:
    """Peak memory of this process, and the private memory of its workers now."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8").split()
    return own + sum(read_private_mb(int(process_id)) for process_id in children)


def count_epoch_tokens(contender: Any) -> int:
    """Target tokens of an epoch. The textbook's windows overlap by half."""
    stride = contender.data.length // 2 if isinstance(contender, Textbook) else contender.data.length
    return len(contender.data.stream) * contender.data.length // stride


def answer(**figures: float) -> None:
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    print(json.dumps(finite), flush=True, file=sys.__stdout__)


def main() -> None:
    """Build the contender and answer the process that started this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("run_directory", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with open_contender(
        arguments.name,
        arguments.run_directory,
        epochs=arguments.epochs,
        seed=arguments.seed,
        threads=arguments.threads,
    ) as contender:
        converse(contender)


def converse(contender: Any) -> None:
    """Train on request."""
    conversation = Conversation(contender)
    answer(tokens_per_epoch=count_epoch_tokens(contender))
    conversation.wait()
    if isinstance(contender, HuggingFace):
        with contextlib.redirect_stdout(sys.stderr):  # Trainer prints a summary at its end
            contender.train(conversation.after_step)
    else:
        for tokens in contender.steps():
            conversation.after_step(tokens)
    conversation.end()


if __name__ == "__main__":
    main()
