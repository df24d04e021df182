"""A training of about a second, small enough to kill, starve and damage many times."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import write_text

from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.events import Event, Progress, silent
from semilla.pipeline.phases import PhaseRecord, corpus_download, model_training, tokenizer_training
from semilla.prerequisites.check import Check
from semilla.records import names
from semilla.records.metrics import read_metrics
from semilla.system import interrupts
from semilla.training.checkpoints.seal import read_sealed

CLOCK_FIELDS = {"elapsed_seconds", "tokens_per_second"}
SETTINGS = {
    "tokenizer_vocab_size": 1000,
    "model_architecture": {"num_layers": 1, "d_model": 64, "num_heads": 2, "dim_feedforward": 128},
    "training_hyperparameters": {
        "batch_size": 32,
        "optimizer": "adamw", "max_sequence_length": 64, "num_epochs": 3, "num_threads": 1, "precision": "float32",
    },
}  # fmt: skip


class KnownPackages:
    """Replaces the package check, which takes seconds and has its own tests."""

    torch_mb = None

    def __init__(self, config: PipelineConfiguration) -> None: ...

    def list_checks(self) -> list[Check]:
        return []

    def stop(self) -> None: ...


def configure(directory: Path, **changes: Any) -> PipelineConfiguration:
    """The small configuration; changes to hyperparameters by their own names."""
    settings = {**SETTINGS["training_hyperparameters"]}
    settings |= {
        name: changes.pop(name) for name in list(changes) if name in TrainingHyperparameters.model_fields
    }
    source = directory.parent / "libro.txt"
    return PipelineConfiguration.model_validate(
        {**SETTINGS, "training_hyperparameters": settings, "corpus_source": str(source), "max_validation_loss": 20,
         "output_directory": str(directory), **changes}
    )  # fmt: skip


def prepare(parent: Path) -> Path:
    """A run directory in ``parent`` with its text and its tokenizer, ready for training."""
    directory = parent / "run"
    directory.mkdir()
    write_text(parent / "libro.txt")
    (directory / names.LOCK).touch()  # by which a run knows the directory for its own
    config = configure(directory)
    corpus_download.run(config, progress=silent)
    tokenizer_training.run(config, progress=silent)
    return directory


def train(directory: Path, *, progress: Progress = silent, **changes: Any) -> PhaseRecord:
    """Phase 4 alone, in this process."""
    with interrupts.catch_signals():
        return model_training.run(configure(directory, **changes), progress=progress)


def resume(directory: Path, **changes: Any) -> PhaseRecord:
    return train(directory, resume_from_checkpoint=True, **changes)


def describe_end(directory: Path) -> dict[str, Any]:
    """Everything that must be bit-identical: models, the last checkpoint with its moments, untimed metrics."""
    last = max(directory.glob("checkpoint_epoch_*.pt"), key=lambda path: int(path.stem.rsplit("_", 1)[1]))
    parts = {name: read_sealed(directory / name) for name in (names.BEST_MODEL, names.FINAL_MODEL, last.name)}
    metrics = read_metrics(directory / names.METRICS).model_dump(exclude={"run_id", "final_metrics"})
    for row in metrics["epoch_history"]:
        for field in CLOCK_FIELDS:
            del row[field]
    hashes = {name: hash_tensors(content) for name, content in parts.items()}
    return {"metrics": metrics, "hashes": hashes, "losses": parts[last.name]["loss_history"]}


def hash_tensors(content: Any) -> str:
    digest = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            digest.update(part.numpy().tobytes())
        elif isinstance(part, dict):
            for key in sorted(part, key=str):
                digest.update(str(key).encode())
                add(part[key])

    add({key: content.get(key) for key in ("model_state", "optimizer_state", "best")})
    return digest.hexdigest()


def fork() -> int:
    """Call os.fork; the child deliberately lacks torch's threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def in_child(act: Callable[[], object]) -> int:
    """Run ``act`` in a forked child, where torch is already loaded; returns the exit code, negative for a signal."""
    child = fork()
    if child == 0:
        code = 70
        try:
            result = act()
            code = result if isinstance(result, int) else 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class On:
    """A listener that acts on the Nth event of a kind."""

    def __init__(self, kind: type, act: Callable[[], object], *, nth: int = 1, **fields: Any) -> None:
        self.kind, self.act, self.left, self.fields = kind, act, nth, fields
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, self.kind) and all(getattr(event, k) == v for k, v in self.fields.items()):
            self.left -= 1
            if self.left == 0:
                self.act()


def send_to_self(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@contextmanager
def mount(place: Path, options: str) -> Iterator[Path]:
    """Mount a small file system in memory; skip the test where that is not allowed."""
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system here: {error}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def list_checkpoints(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("checkpoint_*.pt")}
