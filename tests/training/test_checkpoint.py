"""A checkpoint opens with plain torch.load, and its seal detects every damaged byte."""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from disk_faults import DiskFaults

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import DivergedError, IncompatibleError, IntegrityError
from semilla.events import silent
from semilla.records.files import write_bytes
from semilla.records.removal import remove_artifacts
from semilla.training.checkpoints import seal as seal_module
from semilla.training.checkpoints.checkpoint import (
    Checkpoint,
    Provenance,
    check_compatibility,
    find_checkpoints,
    list_surplus,
    save_checkpoint,
)
from semilla.training.checkpoints.seal import MAX_FILE_BYTES, read_sealed, seal
from semilla.training.state import build_state

PROVENANCE = Provenance(1, 1000, "corpus", "tokenizer", {"num_threads": 1})


@pytest.fixture
def path(tmp_path: Path, config: PipelineConfiguration) -> Path:
    path = tmp_path / "checkpoint_step_5.pt"
    state = build_state(config, vocab_size=1000, precision="float32")
    state.step = 5
    save_checkpoint(path, state, config=config, provenance=PROVENANCE)
    return path


def test_it_has_the_keys_of_the_specification_and_opens_with_torch(path: Path) -> None:
    """The seal is a ZIP comment, which torch.load ignores."""
    content = torch.load(path, weights_only=True)
    keys = {"epoch", "model_state", "optimizer_state", "training_config", "loss_history", "checkpoint_path"}
    assert keys <= set(content)
    assert content["checkpoint_path"] == path.name
    assert set(content["optimizer_state"]) == {"adamw", "muon"}


def test_every_flipped_bit_and_every_truncation_is_found(path: Path) -> None:
    """Three hundred random bits, and cuts of all sizes."""
    data = path.read_bytes()
    draw = random.Random(1)
    damaged = []
    for _ in range(300):
        at, bit = draw.randrange(len(data)), draw.randrange(8)
        damaged.append(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
    damaged += [data[:size] for size in (0, 1, 50, 79, 80, len(data) // 2, len(data) - 1)]
    damaged += [data + b"x", bytes(len(data))]
    for bad in damaged:
        path.write_bytes(bad)
        with pytest.raises(IntegrityError):
            read_sealed(path)


def test_a_damaged_checkpoint_is_skipped_with_its_reason(path: Path) -> None:
    """The older checkpoint, which verifies, is found instead."""
    newer = path.with_name("checkpoint_step_9.pt")
    newer.write_bytes(path.read_bytes()[:-3])
    (path.parent / "checkpoint_notes_1.pt").write_text("mine")
    sound, skipped = find_checkpoints(path.parent)
    assert [checkpoint.path for checkpoint in sound] == [path]
    assert len(skipped) == 1
    assert str(skipped[0]) == "skipped checkpoint_step_9.pt is truncated or not a Semilla checkpoint"


def plant_folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").touch()


def plant_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def plant_sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES)


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (plant_folder, "not a regular file"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "a socket": (plant_socket, "No such device or address"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "No such file"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "this path cannot be used"),
    "a link to a folder": (lambda path: path.symlink_to("."), "not a regular file"),
    "an empty file": (Path.touch, "truncated"),
    "two gigabytes of zeros": (plant_sparse_file, "truncated"),
    "another program's file": (lambda path: path.write_bytes(b"PK\x03\x04" * 99), "truncated"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_what_cannot_be_read_is_skipped_with_its_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whatever has the name of a newer checkpoint, the sound one before it is taken."""
    monkeypatch.chdir(path.parent)
    plant, reason = PLANTED[kind]
    planted = path.with_name("checkpoint_step_9999999999.pt")
    plant(planted)
    sound, (skipped,) = find_checkpoints(path.parent)
    assert [checkpoint.path for checkpoint in sound] == [path]
    assert str(skipped).startswith("skipped ")
    assert planted.name in str(skipped)
    assert reason in str(skipped)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_what_the_system_does_not_read_is_skipped(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A forbidden or failing newest checkpoint does not stop the resume (H10)."""
    newer = path.with_name("checkpoint_step_9.pt")
    newer.write_bytes(path.read_bytes())
    opener = os.open

    def refuse(name: Path, *arguments: int) -> int:
        if name == newer:
            raise OSError(code, os.strerror(code), str(name))
        return opener(name, *arguments)

    monkeypatch.setattr(seal_module.os, "open", refuse)
    sound, (skipped,) = find_checkpoints(path.parent)
    assert [checkpoint.path for checkpoint in sound] == [path]
    assert os.strerror(code) in str(skipped)


@pytest.mark.parametrize(
    "name", ["checkpoint_step_005.pt", "checkpoint_step_\u0665.pt", "checkpoint_step_5.pt.pt"]
)
def test_a_name_that_looks_alike_hides_no_checkpoint(path: Path, name: str) -> None:
    """Only names that a run writes are checkpoints (H11)."""
    (path.parent / name).write_text("mine")
    sound, skipped = find_checkpoints(path.parent)
    assert [checkpoint.path for checkpoint in sound] == [path]
    assert skipped == []


def test_an_older_checkpoint_under_a_newer_name_is_not_taken(
    path: Path, config: PipelineConfiguration
) -> None:
    """The step in the file counts, not the one in its name (H12)."""
    state = build_state(config, vocab_size=1000, precision="float32")
    state.step = 9
    newest = path.with_name("checkpoint_step_9.pt")
    save_checkpoint(newest, state, config=config, provenance=PROVENANCE)
    path.with_name("checkpoint_step_9999999999.pt").write_bytes(path.read_bytes())
    sound, _ = find_checkpoints(path.parent)
    assert sound[0].path == newest


def test_higher_numbers_of_others_do_not_count_when_checkpoints_are_pruned(tmp_path: Path) -> None:
    """The newest checkpoints of the training stay, whatever else is there (H13)."""
    for number in (7, 8, 9, 10**10, 10**10 + 1):
        (tmp_path / f"checkpoint_step_{number}.pt").touch()
    (tmp_path / "checkpoint_step_5.pt").mkdir()
    surplus = list_surplus(tmp_path, epoch=1, step=9)
    assert [path.name for path in surplus] == ["checkpoint_step_7.pt"]


def test_a_checkpoint_of_another_shape_is_refused_with_both_values(
    path: Path, config: PipelineConfiguration
) -> None:
    """Vocabulary and architecture must match; the error names old and new."""
    other = config.model_copy(
        update={"model_architecture": config.model_architecture.model_copy(update={"d_model": 128})}
    )
    wanted = Provenance(1, 2000, "corpus", "tokenizer", {})
    with pytest.raises(IncompatibleError, match=r"d_model 64 -> 128.*vocab_size 1000 -> 2000"):
        check_compatibility(Checkpoint(path, read_sealed(path)), config=other, provenance=wanted)


def test_weights_that_are_not_numbers_are_neither_saved_nor_read(
    path: Path, config: PipelineConfiguration
) -> None:
    """L3: a file with NaN or infinity in weights or moments is refused, although its hash is right."""
    state = build_state(config, vocab_size=1000, precision="float32")
    with torch.no_grad():
        state.model.model.norm.weight[3] = float("nan")
    with pytest.raises(DivergedError, match="no longer finite"):
        save_checkpoint(path.with_name("checkpoint_step_6.pt"), state, config=config, provenance=PROVENANCE)
    content = read_sealed(path)
    content["optimizer_state"] = {"adamw": {"state": {0: {"exp_avg": torch.tensor([0.0, float("inf")])}}}}
    bad = path.with_name("checkpoint_step_7.pt")
    write_bytes(bad, seal(content))
    with pytest.raises(IntegrityError, match="not finite"):
        read_sealed(bad)
    sound, damaged = find_checkpoints(path.parent)
    assert [one.path for one in sound] == [path]
    assert [one.path for one in damaged] == [bad]


def test_a_later_format_is_told_apart_from_damage(path: Path) -> None:
    """R10: a newer format is refused with a next command; an unknown part is ignored."""
    content = read_sealed(path)
    content["mood"] = 1.0
    write_bytes(path, seal(content))
    (sound,), _ = find_checkpoints(path.parent)
    assert (sound.provenance.lineage, sound.content["step"]) == (1, 5)
    write_bytes(path, seal({**content, "format_version": 2}))
    with pytest.raises(
        IncompatibleError, match="has format 2; this version of Semilla reads up to 1"
    ) as caught:
        find_checkpoints(path.parent)
    assert "upgrade" in str(caught.value.next_command)


def test_a_sealed_file_that_is_no_checkpoint_is_skipped(path: Path) -> None:
    """R4: for example a model with a checkpoint's name."""
    content = read_sealed(path)
    del content["optimizer_state"]
    write_bytes(path, seal(content))
    sound, (damaged,) = find_checkpoints(path.parent)
    assert sound == []
    assert "optimizer_state: Field required" in str(damaged)


def test_pruning_keeps_the_newest(tmp_path: Path) -> None:
    """K5: three epoch and two step checkpoints stay, by number and not by name or time; other files are left alone.

    K11: the removals are synced before anything can be written where their bytes were.
    """
    (tmp_path / "checkpoint_epoch_mine.pt").touch()
    for number in (2, 9, 10, 11):
        (tmp_path / f"checkpoint_epoch_{number}.pt").touch()
        (tmp_path / f"checkpoint_step_{number}.pt").touch()
    with DiskFaults() as calls:
        remove_artifacts(list_surplus(tmp_path, epoch=11, step=11), silent)
    assert calls.names == ["unlink", "unlink", "unlink", "fsync_directory"]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [
        "checkpoint_epoch_10.pt", "checkpoint_epoch_11.pt", "checkpoint_epoch_9.pt",
        "checkpoint_epoch_mine.pt", "checkpoint_step_10.pt", "checkpoint_step_11.pt",
    ]  # fmt: skip
