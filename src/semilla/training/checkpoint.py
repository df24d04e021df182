"""Checkpoints: one file each, complete or absent, that carries its own SHA-256.

A checkpoint is what ``torch.save`` writes, a ZIP archive, with the hash of all of it in the archive's comment: it opens
with plain ``torch.load``, and a flipped bit is found before anything is parsed (torch itself does not check).
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from semilla.config import PipelineConfiguration
from semilla.errors import IncompatibleError, IntegrityError, OutOfMemoryError, from_os_error
from semilla.records import names
from semilla.records.files import remove_file, write_bytes
from semilla.records.metrics import EpochMetrics
from semilla.training.state import BestModel, EpochTotals, RunState

FORMAT_VERSION = 1
_COMMENT = b"semilla sha256 "
_COMMENT_BYTES = len(_COMMENT) + 64
_KEPT_EPOCHS = 3
_KEPT_STEPS = 2


@dataclass(frozen=True)
class Provenance:
    """What a checkpoint belongs to. ``lineage`` counts the trainings started from scratch in a directory."""

    lineage: int
    vocab_size: int
    corpus_sha256: str
    tokenizer_sha256: str
    environment: dict[str, Any]
    """What bit-identity depends on: torch version, processor capability, thread count, precision."""


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint."""

    path: Path
    content: dict[str, Any]

    @property
    def order(self) -> tuple[int, int]:
        """Later checkpoints compare greater; by counts, never by clocks."""
        return self.content["provenance"]["lineage"], self.content["step"]

    @property
    def is_epoch_end(self) -> bool:
        return bool(self.content["totals"]["steps"] == 0)

    @property
    def provenance(self) -> Provenance:
        return Provenance(**self.content["provenance"])


def save_checkpoint(
    path: Path, state: RunState, *, config: PipelineConfiguration, provenance: Provenance
) -> None:
    """Write everything an exact resume needs, under the specification's keys and a few of our own."""
    content = {
        "epoch": state.epoch,
        "model_state": state.model.state_dict(),
        "optimizer_state": {name: optimizer.state_dict() for name, optimizer in state.optimizers.items()},
        "training_config": describe_config(config),
        "loss_history": {
            "train_losses": [epoch.train_loss for epoch in state.history],
            "val_losses": [epoch.validation_loss for epoch in state.history],
        },
        "checkpoint_path": path.name,
        "format_version": FORMAT_VERSION,
        "step": state.step,
        "totals": asdict(state.totals),
        "epoch_history": [epoch.model_dump(mode="json") for epoch in state.history],
        "best": None if state.best is None else asdict(state.best),
        "provenance": asdict(provenance),
    }
    write_bytes(path, seal(content))


def save_model(
    path: Path,
    weights: dict[str, torch.Tensor],
    *,
    epoch: int,
    config: PipelineConfiguration,
    provenance: Provenance,
) -> None:
    """Write weights alone (``best_model.pt``, ``final_model.pt``), under the same keys and with the same seal."""
    content = {
        "epoch": epoch,
        "model_state": weights,
        "training_config": describe_config(config),
        "checkpoint_path": path.name,
        "format_version": FORMAT_VERSION,
        "provenance": asdict(provenance),
    }
    write_bytes(path, seal(content))


def read_sealed(path: Path) -> dict[str, Any]:
    """Verify a file's hash, then parse it without executing anything; raises IntegrityError when it is damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise from_os_error(error, path) from error
    unseal(data, name=path.name)
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch raises on bytes that are sealed but not ours
        raise IntegrityError(f"{path.name} cannot be read: {error}") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise IntegrityError(
            f"{path.name} has format {version!r}; this version of Semilla reads {FORMAT_VERSION}"
        )
    return dict(content)


def restore_state(state: RunState, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's content into a freshly built ``state``."""
    content = checkpoint.content
    if not all(bool(torch.isfinite(tensor).all()) for tensor in content["model_state"].values()):
        raise IntegrityError(f"{checkpoint.path.name} holds weights that are not finite numbers")
    state.model.load_state_dict(content["model_state"])
    for name, optimizer in state.optimizers.items():
        if name in content["optimizer_state"]:
            optimizer.load_state_dict(content["optimizer_state"][name])
    state.step = content["step"]
    state.totals = EpochTotals(**content["totals"])
    state.history = [EpochMetrics(**epoch) for epoch in content["epoch_history"]]
    state.best = None if content["best"] is None else BestModel(**content["best"])


def find_checkpoints(directory: Path) -> tuple[list[Checkpoint], list[str]]:
    """All checkpoints that verify, newest first, and a sentence on each that does not."""
    sound, skipped = [], []
    for path in sorted(directory.glob(names.CHECKPOINT_PATTERN)):
        if not re.fullmatch(r"checkpoint_(epoch|step)_\d+\.pt", path.name):
            continue
        try:
            sound.append(Checkpoint(path, read_sealed(path)))
        except IntegrityError as error:
            skipped.append(f"skipped {path.name}: {error.message}")
    return sorted(sound, key=lambda checkpoint: checkpoint.order, reverse=True), skipped


def prune_checkpoints(directory: Path) -> list[Path]:
    """Remove all but the newest three epoch and two step checkpoints; call it only after a newer one stands."""
    removed = []
    for kind, kept in (("epoch", _KEPT_EPOCHS), ("step", _KEPT_STEPS)):
        paths = directory.glob(f"checkpoint_{kind}_*.pt")
        for path in sorted(paths, key=_read_number, reverse=True)[kept:]:
            remove_file(path)
            removed.append(path)
    return removed


def _read_number(path: Path) -> int:
    return int(path.stem.rsplit("_", 1)[1])


def check_compatibility(
    checkpoint: Checkpoint, *, config: PipelineConfiguration, provenance: Provenance
) -> None:
    """Raise IncompatibleError, naming both values, unless ``checkpoint`` fits vocabulary, architecture and text."""
    saved, wanted = (
        checkpoint.content["training_config"]["model_architecture"],
        config.model_architecture.model_dump(),
    )
    pairs = {name: (saved.get(name), wanted[name]) for name in wanted}
    pairs["vocab_size"] = (checkpoint.provenance.vocab_size, provenance.vocab_size)
    pairs["corpus"] = (checkpoint.provenance.corpus_sha256[:12], provenance.corpus_sha256[:12])
    pairs["tokenizer"] = (checkpoint.provenance.tokenizer_sha256[:12], provenance.tokenizer_sha256[:12])
    differing = [f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old != new]
    if differing:
        raise IncompatibleError(
            f"{checkpoint.path.name} was trained with other settings: {', '.join(differing)}. "
            "Set them back, or say --no-resume to start over"
        )


def describe_config(config: PipelineConfiguration) -> dict[str, Any]:
    """The configuration as plain values that ``weights_only`` loading accepts."""
    values = config.model_dump(mode="json")
    return {**values, "skip_phases": sorted(values["skip_phases"])}


def seal(content: dict[str, Any]) -> bytes:
    """Serialise with ``torch.save`` and add the hash as the archive's comment."""
    buffer = io.BytesIO()
    try:
        torch.save(content, buffer)
    except RuntimeError as error:
        raise OutOfMemoryError(f"could not serialise a checkpoint: {error}") from error
    archive = buffer.getvalue()
    assert archive[-22:-18] == b"PK\x05\x06", "torch.save no longer ends in a plain end-of-archive record"
    sealed = archive[:-2] + struct.pack("<H", _COMMENT_BYTES)
    return sealed + _COMMENT + hashlib.sha256(sealed).hexdigest().encode()


def unseal(data: bytes, *, name: str) -> None:
    """Raise IntegrityError unless ``data`` ends in the hash of everything before it."""
    sealed, comment = data[:-_COMMENT_BYTES], data[-_COMMENT_BYTES:]
    if not comment.startswith(_COMMENT):
        raise IntegrityError(f"{name} is truncated or not a Semilla checkpoint")
    if hashlib.sha256(sealed).hexdigest().encode() != comment[len(_COMMENT) :]:
        raise IntegrityError(f"{name} is damaged: its SHA-256 does not match")
