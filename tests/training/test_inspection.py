"""Malicious checkpoints with a valid seal are refused before torch reads them (S1, S2, S14, T3)."""

from __future__ import annotations

import os
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import torch
from forgery import forge_archive, pickle_payload, read_entries, seal_archive

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import IncompatibleError, IntegrityError
from semilla.training.checkpoints.checkpoint import (
    Checkpoint,
    Provenance,
    find_checkpoints,
    restore_state,
    save_checkpoint,
)
from semilla.training.checkpoints.inspection import inspect_archive, inspect_content
from semilla.training.checkpoints.seal import load_weights, read_sealed, seal
from semilla.training.state import RunState, build_state

PROVENANCE = Provenance(1, 1000, "corpus", "tokenizer", {"num_threads": 1})
DEEP = b"\x80\x02" + b"(" * 200_000 + b"t" * 200_000 + b"."
NESTED = b"\x80\x02]q\x00" + b"h\x00\x86q\x00" * 200
"""A value nested 200 times, each level naming the one below twice: written out, it never ends."""


def make_state(config: PipelineConfiguration) -> RunState:
    """A model whose optimizers have made a step."""
    state = build_state(config, vocab_size=1000, precision="float32")
    for parameter in state.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in state.optimizers.values():
        optimizer.step()
    return state


@pytest.fixture
def path(tmp_path: Path, config: PipelineConfiguration) -> Path:
    path = tmp_path / "checkpoint_epoch_1.pt"
    save_checkpoint(path, make_state(config), config=config, provenance=PROVENANCE)
    return path


def test_what_training_writes_is_accepted(path: Path, config: PipelineConfiguration) -> None:
    """The checks accept every kind of value in a real checkpoint, including its optimizers."""
    (checkpoint,), skipped = find_checkpoints(path.parent)
    assert skipped == []
    restore_state(build_state(config, vocab_size=1000, precision="float32"), checkpoint)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_payload_is_refused_and_never_run(tmp_path: Path, protocol: int) -> None:
    """A pickle that calls a function is refused, in every pickle protocol (S1, S2)."""
    proof = tmp_path / "executed"
    payload = pickle_payload(f"touch {proof}", protocol=protocol)
    path = tmp_path / "checkpoint_epoch_1.pt"
    for content in (
        payload,
        seal_archive(payload + b"PK\x05\x06" + bytes(18)),
        forge_archive({"archive/data.pkl": payload}),
    ):
        path.write_bytes(content)
        with pytest.raises(IntegrityError):
            read_sealed(path)
        assert find_checkpoints(tmp_path)[0] == []
    assert not proof.exists()


@pytest.mark.parametrize("variable", ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"])
def test_environment_variables_do_not_disable_the_checks(
    path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """torch's environment variables change nothing: payloads are refused, and good files are read (S14)."""
    monkeypatch.setenv(variable, "1")
    assert read_sealed(path)["step"] == 0
    proof = path.with_name("executed")
    path.write_bytes(
        forge_archive(
            {**read_entries(path.read_bytes()), "archive/data.pkl": pickle_payload(f"touch {proof}")}
        )
    )
    with pytest.raises(IntegrityError, match="refers to what no checkpoint needs"):
        read_sealed(path)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("pickled", "words"),
    [
        (b"", "not a checkpoint archive"),
        (b"garbage", "not a checkpoint archive"),
        (b"\x80\x02ctorch\nTensor\n\x8a\x05\x00\x00\x00\x00\x7f\x85R.", "refers to what no checkpoint needs"),
        (
            b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x7f\x85R.",
            "refers to what no checkpoint needs",
        ),
        (b"\x80\x02ctorch._utils\n_rebuild_meta_tensor_no_storage\n.", "refers to what no checkpoint needs"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "STACK_GLOBAL"),
        (b"(S'touch x'\nios\nsystem\n.", "INST"),
        (DEEP, "nested too deeply"),
        (NESTED + b".", "has format NoneType"),
        (NESTED + b"}X\x0e\x00\x00\x00format_versionh\x00s.", "has format tuple"),
    ],
    ids=[
        "empty",
        "garbage",
        "tensor of 500 GB",
        "bytearray",
        "meta tensor",
        "stack global",
        "inst",
        "deep",
        "twice",
        "twice as version",
    ],
)
def test_hostile_pickles_are_refused(tmp_path: Path, pickled: bytes, words: str) -> None:
    """Every hostile pickle is an integrity error, and gets none of the memory it asks for (S1)."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "checkpoint_epoch_1.pt"
    path.write_bytes(
        forge_archive(
            {"archive/data.pkl": pickled, "archive/version": b"3\n", "archive/byteorder": b"little"}
        )
    )
    with pytest.raises(IntegrityError, match=words) as caught:
        read_sealed(path)
    assert len(caught.value.message) < 2000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


def test_compressed_or_doubled_entries_are_refused_unread(path: Path) -> None:
    """A zip bomb is not decompressed, and entries may not be duplicated or claim more bytes than there are."""
    entries = read_entries(path.read_bytes())
    bomb = forge_archive({**entries, "archive/data/0": bytes(64 << 20)}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 20
    with pytest.raises(IntegrityError, match="compressed"):
        inspect_archive(bomb, name="bomb")
    for extra in ("archive/other.pkl", "other/data.pkl"):
        with pytest.raises(IntegrityError, match="other pickles"):
            inspect_archive(forge_archive({**entries, extra: b"."}), name="two")
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        archive.writestr("archive/data.pkl", b".")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("archive/data.pkl", b".")
    with pytest.raises(IntegrityError, match="duplicate"):
        inspect_archive(path.with_suffix(".zip").read_bytes(), name="twice")


def test_a_tensor_must_own_the_memory_it_spans() -> None:
    """Expanded, transposed, sparse and meta tensors are refused before anything is computed."""
    one = torch.zeros(1)
    for bad in (
        one.expand(1_000_000, 1_000_000),
        torch.zeros(4, 4).T,
        torch.zeros(3).to_sparse(),
        torch.zeros(2, device="meta"),
    ):
        with pytest.raises(IntegrityError, match="without the memory"):
            inspect_content({"model_state": [{"a": (bad,)}]}, name="x")
    inspect_content({"a": torch.zeros(0, 7), "b": torch.zeros(6)[2:4]}, name="x")


def test_a_storage_larger_than_its_bytes_is_refused(path: Path) -> None:
    """torch checks the size of a storage that the pickle states."""
    entries = read_entries(path.read_bytes())
    entries["archive/data/0"] = entries["archive/data/0"][:64]
    path.write_bytes(forge_archive(entries))
    with pytest.raises(IntegrityError):
        read_sealed(path)


CHANGES = {
    "provenance": [None, {}, {"lineage": "1"}, 3],
    "step": [-1, "5", 1.5, None, True],
    "totals": [None, {"nats": 0.0, "unknown": 1}, []],
    "epoch_history": [None, [{}], [3]],
    "best": [3, {"epoch": 1}],
    "model_state": [None, [], {"a": 1}, {3: torch.zeros(1)}],
    "training_config": [None, {}, {"model_architecture": 1}],
    "optimizer_state": [None, {"adamw": 3}],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in CHANGES.items() for value in values]
)
def test_a_part_of_another_kind_is_skipped_with_its_reason(path: Path, key: str, value: object) -> None:
    """A sealed file that is no checkpoint is skipped like a damaged one, and is never an internal error."""
    content = {**read_sealed(path), key: value}
    path.write_bytes(seal(content))
    sound, skipped = find_checkpoints(path.parent)
    assert sound == []
    assert "is not a checkpoint: " in skipped[0].reason
    del content[key]
    path.write_bytes(seal(content))
    assert find_checkpoints(path.parent)[0] == []


def test_weights_of_another_shape_are_incompatible(path: Path, config: PipelineConfiguration) -> None:
    """Names and shapes are compared before anything is copied; the error names the first difference."""
    content = read_sealed(path)
    name = next(iter(content["model_state"]))
    for weights in (
        {**content["model_state"], name: torch.zeros(3)},
        {**content["model_state"], "x\x1b[31m": torch.zeros(1)},
        {},
    ):
        forged = {**content, "model_state": weights}
        path.write_bytes(seal(forged))
        state = build_state(config, vocab_size=1000, precision="float32")
        with pytest.raises(IncompatibleError, match="does not fit the model") as caught:
            restore_state(state, Checkpoint(path, read_sealed(path)))
        assert caught.value.message.isprintable()
        with pytest.raises(IncompatibleError):
            load_weights(path, state.model)


@pytest.mark.parametrize("kept", [{}, {"state": {}, "param_groups": []}, {"state": 3, "param_groups": 3}])
def test_an_optimizer_of_another_kind_is_an_integrity_error(
    path: Path, config: PipelineConfiguration, kept: dict[str, object]
) -> None:
    """A state that the optimizer cannot load is refused."""
    content = read_sealed(path)
    path.write_bytes(seal({**content, "optimizer_state": {"adamw": kept}}))
    with pytest.raises(IntegrityError, match="no valid state for the optimizer adamw"):
        restore_state(
            build_state(config, vocab_size=1000, precision="float32"), Checkpoint(path, read_sealed(path))
        )


def test_an_optimizer_state_of_another_shape_is_refused(path: Path, config: PipelineConfiguration) -> None:
    """It would fail in the middle of the next step."""
    content = read_sealed(path)
    for kept in content["optimizer_state"]["adamw"]["state"].values():
        kept["exp_avg"] = torch.zeros(7)
    path.write_bytes(seal(content))
    with pytest.raises(IntegrityError, match="shape differs from its weights"):
        restore_state(build_state(config, vocab_size=1000, precision="float32"), Checkpoint(path, content))


def test_pipes_and_giants_are_no_checkpoints(tmp_path: Path) -> None:
    """A pipe does not block the reader, and a file of terabytes is not read (C2)."""
    os.mkfifo(tmp_path / "checkpoint_epoch_1.pt")
    with (tmp_path / "checkpoint_epoch_2.pt").open("wb") as file:
        file.truncate(1 << 40)
    sound, skipped = find_checkpoints(tmp_path)
    assert sound == []
    assert len(skipped) == 2


def test_the_suite_notices_pickles(suite_unpickled: list[str]) -> None:
    """The hook for all tests notices and refuses when a pickle looks up a name (S1)."""
    with pytest.raises(RuntimeError, match="a pickle asked for"):
        pickle.loads(pickle.dumps(os.getcwd))
    assert suite_unpickled.pop() == "posix.getcwd"
