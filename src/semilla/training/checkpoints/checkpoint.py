"""Checkpoints: one file each, complete or absent, with its own SHA-256 (see ``checkpoints.seal``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import list_settings, recall_settings
from semilla.errors import (
    DivergedError,
    IncompatibleError,
    IntegrityError,
    InvalidConfigError,
    PermissionDeniedError,
    StorageError,
)
from semilla.escape import redact_credentials
from semilla.records import names
from semilla.records.files import write_bytes
from semilla.records.metrics import EpochMetrics
from semilla.training.checkpoints.inspection import check_optimizer
from semilla.training.checkpoints.seal import (
    FORMAT_VERSION,
    is_finite,
    load_checked,
    read_sealed,
    seal,
    verify,
)
from semilla.training.state import BestModel, EpochTotals, RunState

_TENSORS = {"model_state", "optimizer_state", "best"}
"""The parts with tensors, which may be large."""
_UNREADABLE = (IntegrityError, StorageError, PermissionDeniedError, InvalidConfigError)
"""Why a checkpoint is skipped: it is damaged, or the system cannot open or read what has its name."""
_KEPT_EPOCHS = 3
_KEPT_STEPS = 2


@dataclass(frozen=True)
class Provenance:
    """The training that a checkpoint belongs to. ``lineage`` counts trainings from scratch in one directory."""

    lineage: int
    vocab_size: int
    corpus_sha256: str
    tokenizer_sha256: str
    environment: dict[str, Any]
    """What bit-identity depends on beside configuration and seed: versions, processor, precision, threads."""
    model_version: str = ""
    """MAJOR.MINOR.PATCH of the model; empty in checkpoints older than model versions."""
    departures: list[str] = field(default_factory=list)
    """Why the result may differ in its bits from an uninterrupted run; empty when it will not."""


class _ConfigLayout(BaseModel):
    model_architecture: dict[str, Any]
    training_hyperparameters: dict[str, Any]
    seed: StrictInt


class _Layout(BaseModel):
    """The required parts of a checkpoint, with their types."""

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
    """A verified checkpoint: its path, and its ``content`` without the tensors, which may be large."""

    path: Path
    content: dict[str, Any]

    @property
    def order(self) -> tuple[int, int]:
        """Later checkpoints compare greater. The order is by counts, never by clocks."""
        return self.content["provenance"]["lineage"], self.content["step"]

    @property
    def settings(self) -> dict[str, Any]:
        """Its architecture, hyperparameters and seed, flat, under the current names of the settings."""
        recorded = self.content["training_config"]
        groups = {**recorded["model_architecture"], **recorded["training_hyperparameters"]}
        return recall_settings({**groups, "seed": recorded["seed"]}, list_settings())

    @property
    def validation_losses(self) -> list[float]:
        """Of every epoch that is done."""
        return [epoch["validation_loss"] for epoch in self.content["epoch_history"]]

    @property
    def is_epoch_end(self) -> bool:
        return bool(self.content["totals"]["steps"] == 0)

    @property
    def provenance(self) -> Provenance:
        return Provenance(**self.content["provenance"])


@dataclass(frozen=True)
class Damaged:
    """A checkpoint that does not verify, and the reason."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"skipped {self.reason}"


def save_checkpoint(
    path: Path, state: RunState, *, config: PipelineConfiguration, provenance: Provenance
) -> None:
    """Write everything that an exact resume needs, with the keys of the specification and more, and verify it.

    Raises DivergedError, before any file is touched, when a weight or an optimizer moment is NaN or infinite.
    """
    model_state = state.model.state_dict()
    optimizer_state = {name: optimizer.state_dict() for name, optimizer in state.optimizers.items()}
    if not is_finite([model_state, optimizer_state]):
        raise DivergedError(
            f"step {state.step}: weights are no longer finite numbers; {path.name} was not written",
            figures={"step": state.step},
        )
    content = {
        "epoch": state.epoch,
        "model_state": model_state,
        "optimizer_state": optimizer_state,
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
    verify(path)


def save_model(
    path: Path,
    weights: dict[str, torch.Tensor],
    *,
    epoch: int,
    config: PipelineConfiguration,
    provenance: Provenance,
) -> None:
    """Write only weights (``best_model.pt``, ``final_model.pt``), with the same keys and the same seal."""
    content = {
        "epoch": epoch,
        "model_state": weights,
        "training_config": describe_config(config),
        "checkpoint_path": path.name,
        "format_version": FORMAT_VERSION,
        "provenance": asdict(provenance),
    }
    write_bytes(path, seal(content))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a sealed file and check that it is a complete checkpoint. Raises like ``read_sealed``."""
    content = read_sealed(path)
    check_layout(content, name=path.name)
    return content


def restore_state(state: RunState, checkpoint: Checkpoint) -> None:
    """Load the checkpoint's file into a newly built ``state``. Raises like ``read_sealed``."""
    content = read_checkpoint(checkpoint.path)
    load_state(state, content, name=checkpoint.path.name)
    state.totals = EpochTotals(**content["totals"])
    state.history = [EpochMetrics(**epoch) for epoch in content["epoch_history"]]
    state.best = None if content["best"] is None else BestModel(**content["best"])


def load_state(state: RunState, content: dict[str, Any], *, name: str) -> None:
    """Load weights, optimizers and step; ``name`` says where ``content`` is from. Raises IntegrityError."""
    load_checked(content["model_state"], state.model, name=name)
    for key, optimizer in state.optimizers.items():
        if key in content["optimizer_state"]:
            try:
                optimizer.load_state_dict(content["optimizer_state"][key])
            except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
                raise IntegrityError(f"{name} has no valid state for the optimizer {key}") from error
            check_optimizer(optimizer, name=name)
    state.step = content["step"]


def find_checkpoints(directory: Path) -> tuple[list[Checkpoint], list[Damaged]]:
    """All checkpoints that verify, newest first, and those that do not or cannot be read.

    Reads one file at a time into memory.
    """
    sound, damaged = [], []
    for _, path in [*_list_paths(directory, "epoch"), *_list_paths(directory, "step")]:
        try:
            content = read_checkpoint(path)
        except _UNREADABLE as error:
            damaged.append(Damaged(path, error.message))
            continue
        sound.append(Checkpoint(path, {key: content[key] for key in content.keys() - _TENSORS}))
    return sorted(sound, key=lambda checkpoint: checkpoint.order, reverse=True), damaged


def check_layout(content: dict[str, Any], *, name: str) -> None:
    """Raise IntegrityError unless ``content`` has the parts of a checkpoint, each of the right type."""
    try:
        _Layout.model_validate(content)
        # pydantic ignores names that a dataclass does not have.
        _ = Provenance(**content["provenance"]), EpochTotals(**content["totals"])
        _ = content["best"] and BestModel(**content["best"])
    except TypeError as error:
        raise IntegrityError(f"{name} is not a checkpoint: it has an unknown part") from error
    except ValidationError as error:
        # The value is not shown: it may be nested so deeply that printing it never ends.
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ascii(".".join(map(str, problem["loc"])))[1:-1]
        raise IntegrityError(f"{name} is not a checkpoint: {place[:100]}: {problem['msg']}") from error


def list_surplus(directory: Path, *, epoch: int, step: int) -> list[Path]:
    """Checkpoints beyond the newest three of epochs and two of steps. Remove them only when the newest is verified.

    ``epoch`` and ``step`` are those of the training. What has a higher number is not from it, and does not count.
    """
    return [
        *_list_files(directory, "epoch", last=epoch)[_KEPT_EPOCHS:],
        *_list_files(directory, "step", last=step)[_KEPT_STEPS:],
    ]


def _list_files(directory: Path, kind: str, *, last: int) -> list[Path]:
    paths = _list_paths(directory, kind)
    return [path for number, path in paths if number <= last and path.is_file()]


def _list_paths(directory: Path, kind: str) -> list[tuple[int, Path]]:
    """Whatever has the name of a checkpoint of one kind, with its number, the highest first."""
    found = [(names.parse_checkpoint(path.name), path) for path in directory.glob(names.CHECKPOINT_PATTERN)]
    return sorted([(one[1], path) for one, path in found if one and one[0] == kind], reverse=True)


def has_shape(checkpoint: Checkpoint, config: PipelineConfiguration) -> bool:
    """Return whether the checkpoint's network has the architecture of ``config``."""
    wanted = config.model_architecture.model_dump()
    return all(checkpoint.settings.get(name) == value for name, value in wanted.items())


def check_compatibility(
    checkpoint: Checkpoint, *, config: PipelineConfiguration, provenance: Provenance
) -> None:
    """Raise IncompatibleError, with both values, unless vocabulary, architecture and text are the same."""
    saved, wanted = checkpoint.settings, config.model_architecture.model_dump()
    pairs = {name: (saved[name], wanted[name]) for name in wanted}
    pairs["vocab_size"] = (checkpoint.provenance.vocab_size, provenance.vocab_size)
    pairs["corpus"] = (checkpoint.provenance.corpus_sha256[:12], provenance.corpus_sha256[:12])
    pairs["tokenizer"] = (checkpoint.provenance.tokenizer_sha256[:12], provenance.tokenizer_sha256[:12])
    differing = [f"{name} {old} -> {new}" for name, (old, new) in pairs.items() if old != new]
    if differing:
        raise IncompatibleError(
            f"{checkpoint.path.name} was trained with other settings: {', '.join(differing)}. "
            "Change them back, or start over with --no-resume"
        )


def describe_config(config: PipelineConfiguration) -> dict[str, Any]:
    """The configuration as plain values that ``weights_only`` accepts, without passwords in URLs."""
    values = config.model_dump(mode="json")
    return {
        **values,
        "corpus_source": redact_credentials(values["corpus_source"]),
        "corpus_mirrors": [redact_credentials(mirror) for mirror in values["corpus_mirrors"]],
    }
