"""A large text's tokens in files: the same batches as from memory, and nothing is encoded twice."""

from __future__ import annotations

import errno
import hashlib
import operator
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk_faults import DiskFaults, fail_with
from killed_workers import kill_worker
from tiny_bundle import SENTENCES, train_tiny_tokenizer

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document
from semilla.errors import DiskSpaceError, IntegrityError, InterruptedRunError, KilledError
from semilla.events import silent
from semilla.system import connection, interrupts, pool
from semilla.tokenizer.token_files import TokenFiles, pack_documents, write_token_file
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, Tokenizer
from semilla.training import stored
from semilla.training.data import TrainingData, arrange_documents, build_data, cut_batch, plan_epoch
from semilla.training.stored import TokenStore

LENGTH = 32


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(train_tiny_tokenizer())


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few documents fill a file."""
    monkeypatch.setattr(stored, "FILE_CHARACTERS", 1000)


def make_documents() -> list[Document]:
    """Three texts in two languages: short documents, and a long one that an epoch sees three times."""
    tales = tuple(f"{number}. {''.join(SENTENCES[: 1 + number % 5])}\n" for number in range(40))
    return [
        Document("cuentos", "es", "uno", tales[:30], tales[30:]),
        Document("tales", "en", "two", (tales[3] * 9,), (tales[4] * 3,), weight=3),
        Document("más", "es", "tres", tales[:7], ()),
    ]


def build(tokenizer: Tokenizer, store: TokenStore | None = None, **settings: Any) -> TrainingData:
    hyperparameters = {"max_sequence_length": LENGTH, "batch_size": 4, **settings}
    config = PipelineConfiguration.model_validate({"training_hyperparameters": hyperparameters})
    return build_data(make_documents(), tokenizer, config, store)


def open_store(folder: Path, *, num_processes: int = 1) -> TokenStore:
    return TokenStore(folder, "text", silent, num_processes=num_processes)


def hash_files(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def list_batches(data: TrainingData) -> Iterator[list[Any]]:
    for epoch in (1, 2, 3):
        arranged = arrange_documents(data, epoch)
        starts = plan_epoch(arranged, epoch)
        for first in range(0, len(starts), data.batch_size):
            yield [one.tolist() for one in cut_batch(arranged, starts[first : first + data.batch_size])]


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_training_sees_the_same_batches_from_files_as_from_memory(
    tokenizer: Tokenizer, tmp_path: Path, balance: float
) -> None:
    """Every token of every batch, the counts, the held-out texts, and a text that is replayed."""
    memory = build(tokenizer, language_balance=balance)
    files = build(tokenizer, open_store(tmp_path / "tokens"), language_balance=balance)
    assert len(list((tmp_path / "tokens").glob("train_*.ds"))) > 3
    assert list(list_batches(files)) == list(list_batches(memory))
    assert (
        files.token_counts.tolist() == memory.token_counts.tolist() == np.bincount(memory.stream[:]).tolist()
    )
    assert files.stream[5:90].tolist() == memory.stream[5:90].tolist()
    assert files.stream[9:9].tolist() == []
    for one, other in zip(files.held_out, memory.held_out, strict=True):
        assert (one.language, one.size_bytes) == (other.language, other.size_bytes)
        assert one.tokens.tolist() == other.tokens.tolist()
    again = [replace(data, replayed=data, replay_share=0.25) for data in (files, memory)]
    assert list(list_batches(again[0])) == list(list_batches(again[1]))
    assert again[0].token_counts.tolist() == (2 * memory.token_counts).tolist()


def test_the_files_are_the_same_for_any_number_of_processes(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """One process, and three that take turns."""
    for count in (1, 3):
        build(tokenizer, open_store(tmp_path / str(count), num_processes=count))
    assert hash_files(tmp_path / "1") == hash_files(tmp_path / "3")


def test_an_interrupted_encoding_goes_on_after_the_last_finished_file(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is finished is not encoded again, unless it was damaged; then everything after it is."""
    folder = tmp_path / "tokens"
    whole = tmp_path / "whole"
    build(tokenizer, open_store(whole))
    written: list[str] = []

    def stop_at_third(*arguments: Any, **options: Any) -> Any:
        if len(written) == 2:
            raise InterruptedRunError(2)
        written.append(arguments[0].name)
        return write_token_file(*arguments, **options)

    monkeypatch.setattr(stored, "write_token_file", stop_at_third)
    with pytest.raises(InterruptedRunError):
        build(tokenizer, open_store(folder))
    written.clear()

    def note(*arguments: Any, **options: Any) -> Any:
        written.append(arguments[0].name)
        return write_token_file(*arguments, **options)

    monkeypatch.setattr(stored, "write_token_file", note)
    build(tokenizer, open_store(folder))
    assert "train_00001.ds" not in written
    assert written[0] == "train_00002.ds"
    assert hash_files(folder) == hash_files(whole)
    written.clear()
    build(tokenizer, open_store(folder))
    assert written == []
    damaged = folder / "train_00001.ds.index"
    damaged.write_bytes(damaged.read_bytes()[::-1])
    build(tokenizer, open_store(folder))
    assert written[0] == "train_00001.ds"
    assert hash_files(folder) == hash_files(whole)
    written.clear()
    build(tokenizer, TokenStore(folder, "another text", silent))
    assert written[0] == "train_00000.ds"


def test_a_killed_process_ends_the_encoding_and_the_next_one_goes_on(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL of a process before its fourth request, in the middle of a file: said, and the end is the same."""
    monkeypatch.setattr(stored, "REQUEST_CHARACTERS", 300)
    build(tokenizer, open_store(tmp_path / "whole"))
    folder = tmp_path / "tokens"
    with monkeypatch.context() as patch:
        kill_worker(11, patch)
        with pytest.raises(KilledError, match="a process of the run was killed by SIGKILL"):
            build(tokenizer, open_store(folder, num_processes=2))
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.ds")}
    assert 0 < len(finished) < len(list((tmp_path / "whole").glob("*.ds")))
    build(tokenizer, open_store(folder, num_processes=2))
    assert hash_files(folder) == hash_files(tmp_path / "whole")
    assert {name: (folder / name).stat().st_mtime_ns for name in finished} == finished


def test_the_files_have_the_layout_that_is_documented(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Little-endian 16-bit ids from begin to end token, and 64-bit ends counted from the beginning of the file."""
    build(tokenizer, open_store(tmp_path))
    path = tmp_path / "train_00001.ds"
    ids = np.frombuffer(path.read_bytes(), "<u2")
    ends = np.frombuffer(path.with_name("train_00001.ds.index").read_bytes(), "<u8").tolist()
    assert ends[-1] == len(ids)
    for start, end in zip([0, *ends], ends, strict=False):
        assert (ids[start], ids[end - 1]) == (BEGIN_ID, END_ID)
        assert END_ID not in ids[start : end - 1]


def test_an_index_that_does_not_fit_its_file_is_refused(tmp_path: Path) -> None:
    """Too short, too long, or with a document that ends before it begins."""
    path = tmp_path / "a.ds"
    write_token_file(path, [pack_documents([np.arange(5), np.arange(7)])], root=tmp_path)
    assert TokenFiles([path]).sizes.tolist() == [5, 7]
    assert [one.tolist() for one in TokenFiles([path]).list_documents()] == [[*range(5)], [*range(7)]]
    for ends in ([5], [5, 13], [13, 5, 12], []):
        (tmp_path / "a.ds.index").write_bytes(np.array(ends, "<u8").tobytes())
        with pytest.raises(IntegrityError, match="does not fit its index"):
            TokenFiles([path])


def test_processes_answer_in_order_and_raise_what_the_function_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also with more processes than requests; a run that is asked to stop does not go on."""
    requests = [("a", number) for number in range(5)]
    for count in (1, 3, 8):
        found = pool.compute_in_order(operator.itemgetter, 1, requests, num_processes=count)
        assert list(found) == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="out of range"):
        list(pool.compute_in_order(operator.itemgetter, 1, [("a", 1), ("a",)], num_processes=2))
    for count in (1, 2):
        found = pool.compute_in_order(operator.itemgetter, 1, requests, num_processes=count)
        assert next(found) == 0
        with monkeypatch.context() as patch:
            patch.setattr(interrupts, "_requested", 2)
            with pytest.raises(InterruptedRunError):
                list(found)


def test_a_process_that_dies_or_hangs_ends_the_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KilledError, match="SIGKILL"):
        list(pool.compute_in_order(partial, signal.raise_signal, [signal.SIGKILL] * 3, num_processes=2))
    monkeypatch.setattr(connection, "POLL_S", 0.1)
    monkeypatch.setattr(connection, "TIMEOUT_S", 1)
    with pytest.raises(KilledError, match="has not answered for 1 s"):
        list(pool.compute_in_order(partial, time.sleep, [600.0] * 2, num_processes=2))


def test_a_full_disk_keeps_the_finished_files(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """The next encoding goes on behind them."""
    folder, whole = tmp_path / "tokens", tmp_path / "whole"
    build(tokenizer, open_store(whole))
    with (
        DiskFaults(at=9, act=fail_with(errno.ENOSPC), only=["write"], is_lasting=True),
        pytest.raises(DiskSpaceError),
    ):
        build(tokenizer, open_store(folder))
    finished = hash_files(folder)
    assert {"train_00000.ds", "train_00001.ds"} <= set(finished)
    assert not [name for name in finished if name.startswith(".semilla")]
    build(tokenizer, open_store(folder))
    assert hash_files(folder) == hash_files(whole)
