"""Checkpoints: one file each, complete or absent, that carries its own SHA-256.

A checkpoint is what ``torch.save`` writes, a ZIP archive, with the hash of all of it in the archive's comment: it opens
with plain ``torch.load``, and a flipped bit is found before anything is parsed (torch itself does not check).
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import struct
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from semilla.config import PipelineConfiguration
from semilla.errors import IncompatibleError, IntegrityError, OutOfMemoryError, from_os_error
from semilla.escape import redact_credentials
from semilla.records import names
from semilla.records.files import remove_file, write_bytes
from semilla.records.metrics import EpochMetrics
from semilla.training.inspection import (
    check_optimizer,
    check_shapes,
    inspect_archive,
    inspect_content,
)
from semilla.training.state import BestModel, EpochTotals, RunState

FORMAT_VERSION = 1
MAX_FILE_BYTES = 2 << 30
"""The largest shape a configuration can ask for needs 1.3 GB, optimizers and best weights included."""
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


class _ConfigLayout(BaseModel):
    model_architecture: dict[str, Any]
    training_hyperparameters: dict[str, Any]
    seed: StrictInt


class _Layout(BaseModel):
    """The parts of a checkpoint that are relied on, with their kinds."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    epoch: StrictInt = Field(ge=0)
    step: StrictInt = Field(ge=0)
    model_state: dict[str, torch.Tensor]
    optimizer_state: dict[str, dict[str, Any]]
    training_config: _ConfigLayout
    totals: EpochTotals
    epoch_history: list[EpochMetrics]
    best: BestModel | None
    provenance: Provenance


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
    data = _read_regular(path)
    unseal(data, name=path.name)
    inspect_archive(data, name=path.name)
    try:
        with warnings.catch_warnings():
            # torch compares what a forged pickle calls with what it may call, and warns of its own comparison.
            warnings.simplefilter("ignore")
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch raises on bytes that are sealed but not ours
        # torch's own words advise to load without this protection.
        raise IntegrityError(f"{path.name} cannot be read: {type(error).__name__}") from error
    inspect_content(content, name=path.name)
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        # Only a number is shown: other values may be nested so that writing them out never ends.
        shown = version if type(version) is int else type(version).__name__
        raise IntegrityError(
            f"{path.name} has format {shown}; this version of Semilla reads {FORMAT_VERSION}"
        )
    return dict(content)


def _read_regular(path: Path) -> bytes:
    """Read a regular file of at most ``MAX_FILE_BYTES`` whose last bytes may be a seal; a pipe would wait for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_FILE_BYTES:
                raise IntegrityError(
                    f"{path.name} is not a regular file of at most {MAX_FILE_BYTES >> 30} GB"
                )
            return file.read()
    except OSError as error:
        raise from_os_error(error, path) from error


def load_weights(path: Path, model: torch.nn.Module) -> None:
    """Put the weights of a sealed file into ``model``.

    Raises IntegrityError for a damaged file or weights that are no numbers, IncompatibleError for other shapes.
    """
    weights = read_sealed(path).get("model_state")
    if not isinstance(weights, dict) or not all(isinstance(one, torch.Tensor) for one in weights.values()):
        raise IntegrityError(f"{path.name} holds no weights")
    _load_checked(weights, model, name=path.name)


def _load_checked(weights: dict[str, torch.Tensor], model: torch.nn.Module, *, name: str) -> None:
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        raise IntegrityError(f"{name} holds weights that are not finite numbers")
    check_shapes(weights, model.state_dict(), name=name)
    model.load_state_dict(weights)


def restore_state(state: RunState, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's content into a freshly built ``state``."""
    content = checkpoint.content
    _load_checked(content["model_state"], state.model, name=checkpoint.path.name)
    for name, optimizer in state.optimizers.items():
        if name in content["optimizer_state"]:
            try:
                optimizer.load_state_dict(content["optimizer_state"][name])
            except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
                raise IntegrityError(
                    f"{checkpoint.path.name} holds no state of the optimizer {name}"
                ) from error
            check_optimizer(optimizer, name=checkpoint.path.name)
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
            content = read_sealed(path)
            check_layout(content, name=path.name)
            sound.append(Checkpoint(path, content))
        except IntegrityError as error:
            skipped.append(f"skipped {path.name}: {error.message}")
    return sorted(sound, key=lambda checkpoint: checkpoint.order, reverse=True), skipped


def check_layout(content: dict[str, Any], *, name: str) -> None:
    """Raise IntegrityError unless a checkpoint has the parts of one, each of its kind."""
    try:
        _Layout.model_validate(content)
        # pydantic passes over names that a dataclass does not have.
        _ = Provenance(**content["provenance"]), EpochTotals(**content["totals"])
        _ = content["best"] and BestModel(**content["best"])
    except TypeError as error:
        raise IntegrityError(f"{name} is no checkpoint: it has a part under another name") from error
    except ValidationError as error:
        # The value itself is not shown: it may be nested so that writing it out never ends.
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ascii(".".join(map(str, problem["loc"])))[1:-1]
        raise IntegrityError(f"{name} is no checkpoint: {place[:100]}: {problem['msg']}") from error


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
    """The configuration as plain values that ``weights_only`` loading accepts, without passwords in addresses."""
    values = config.model_dump(mode="json")
    return {
        **values,
        "skip_phases": sorted(values["skip_phases"]),
        "corpus_source": redact_credentials(values["corpus_source"]),
        "corpus_mirrors": [redact_credentials(mirror) for mirror in values["corpus_mirrors"]],
    }


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
