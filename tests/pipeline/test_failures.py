"""Every way a run can fail, tried through the command line: its exit code, four lines and status."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers import LoopbackServer, find_closed_port, send, stall
from small_runs import SMALL, assert_four_lines, make_many_characters, run, write_text

from semilla import cli
from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus import documents as corpus_documents
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.errors import PHASES
from semilla.evaluation import gates
from semilla.pipeline.phases import (
    corpus_download,
    model_training,
    prerequisite_check,
    tokenizer_training,
)
from semilla.prerequisites import memory
from semilla.prerequisites import source as source_check
from semilla.prerequisites.check import Check
from semilla.records import names
from semilla.records.lock import hold_lock
from semilla.records.log import STDERR_LINES
from semilla.records.run_configuration import read_run_configuration
from semilla.system.memory import measure_available_mb
from semilla.tokenizer import training

IN_EVERY_RUN = {names.STATUS, names.CONFIGURATION, names.LOG, names.LOCK}
BOOK = "".join(f"La niña soñó {n} veces con el mar: «¿Dónde está? 🌱»\n" for n in range(900)).encode()
NUM_ATTEMPTS = 4
"""One request and three retries, as the specification says."""


class _KnownPackages:
    """Replaces the package check, which takes seconds and has its own tests."""

    torch_mb = None

    def __init__(self, config: PipelineConfiguration) -> None: ...

    def list_checks(self) -> list[Check]:
        return []

    def stop(self) -> None: ...


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisite_check, "PackageProbe", _KnownPackages)
    for name in list(os.environ):
        if name.upper().startswith("SEMILLA_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use short waits and timeouts; the number of attempts stays."""
    policy = FetchPolicy(connect_timeout_s=0.5, read_timeout_s=0.3, sleep=lambda seconds: None)
    monkeypatch.setattr(corpus_documents, "FetchPolicy", lambda: policy)
    monkeypatch.setattr(source_check, "TIMEOUT_S", 0.3)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_text(tmp_path / "libro ñ.txt")


def read_status(directory: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads((directory / names.STATUS).read_text(encoding="utf-8"))
    return status


def assert_failed(
    directory: Path, stderr: str, *, category: str, phase: str, leaves: set[str] | None = None
) -> str:
    """Check everything a failed run must print and leave; return the cause as printed."""
    cause = assert_four_lines(stderr, category=category, phase=phase)
    status = read_status(directory)
    assert status["current_phase"] == status["run_state"] == "failed"
    details = status["error_details"]
    assert (details["failed_phase"], details["error_type"]) == (phase, category)
    assert details["error_message"].splitlines()[0] in stderr
    assert 1 <= len(details["stderr_output"].splitlines()) <= STDERR_LINES
    assert "Traceback" in (directory / names.LOG).read_text(encoding="utf-8")
    found = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert found == IN_EVERY_RUN | (leaves or set())
    return cause


@contextmanager
def mount(directory: Path, options: str) -> Iterator[None]:
    """Mount a small file system in memory; skip the test where that is not allowed."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system here: {error}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


# ---- phase 1


def test_a_full_disk_fails_before_any_download(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what is needed, what is available and where; nothing was downloaded."""
    disk = tmp_path / "disco"
    with LoopbackServer(otherwise=send(BOOK)) as server, mount(disk, "size=4m"):
        assert run(disk, server.url) == 1
        cause = assert_failed(
            disk, capsys.readouterr().err, category="disk_space", phase="prerequisite_check"
        )
        assert [head for head in server.heads if not head.startswith(b"HEAD ")] == []
    assert f"needs 104 MB of disk space and there are 4 MB at {disk}" in cause


def test_an_unwritable_directory_is_reported(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A read-only file system is a permission error, found before anything else."""
    with mount(tmp_path / "disco", "ro"):
        assert run(tmp_path / "disco", text) == 1
        assert not list((tmp_path / "disco").iterdir())
    cause = assert_four_lines(capsys.readouterr().err, category="permission", phase="prerequisite_check")
    assert str(tmp_path / "disco") in cause


def test_a_missing_text_is_found_in_phase_1(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error suggests the file that was probably meant."""
    assert run(tmp_path / "run", text.with_name("libro n.txt")) == 1
    error = capsys.readouterr().err
    cause = assert_failed(tmp_path / "run", error, category="invalid_corpus", phase="prerequisite_check")
    assert f"did you mean {text}?" in cause


LIMITED = """
import resource, sys
from semilla import cli
resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, resource.RLIM_INFINITY))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(
    measure_available_mb() < 3072,
    reason="needs 3 GB of free memory, so that the limit of 2 GB is what counts",
)
def test_predicted_lack_of_memory_suggests_a_batch_that_fits(tmp_path: Path, text: Path) -> None:
    """Phase 1 refuses a batch that will not fit, and the next command has the size that it suggests."""
    options = ["--output-dir", str(tmp_path / "run"), "--corpus-source", str(text), *SMALL]
    large = ["--num-layers", "12", "--num-heads", "16", "--d-model", "512", "--max-sequence-length", "128"]

    def start(command: str, batch_size: str) -> subprocess.CompletedProcess[str]:
        words = [command, *options, *large, "--batch-size", batch_size]
        return subprocess.run(
            [sys.executable, "-c", LIMITED, *words], capture_output=True, text=True, check=False, timeout=120
        )

    failed = start("run", "128")
    assert failed.returncode == 1, failed.stderr
    cause = assert_failed(tmp_path / "run", failed.stderr, category="oom", phase="prerequisite_check")
    suggested = cause.split("reduce batch_size from 128 to ")[1].split(",")[0]
    assert 1 < int(suggested) < 128
    assert f"--batch-size={suggested}" in failed.stderr.split("\nnext: ")[1]


LIMITS = {
    "data": "resource.setrlimit(resource.RLIMIT_DATA, (size, size))",
    "addresses": "resource.setrlimit(resource.RLIMIT_AS, (size, size))",
    "group": "open(f'{sys.argv.pop(1)}/cgroup.procs', 'w').write(str(os.getpid()))",
}


@pytest.mark.slow(reason="trains six layers for each kind of limit")
@pytest.mark.parametrize("kind", LIMITS)
def test_the_suggested_batch_size_runs_under_the_same_limit(tmp_path: Path, text: Path, kind: str) -> None:
    """What is suggested is what a person types next, so it has to finish."""
    limit_mb = 1100 + 470 * (kind == "addresses")
    groups, group = Path("/sys/fs/cgroup/memory"), []
    if kind == "group":
        place = groups / f"semilla-test-{os.getpid()}"
        try:
            place.mkdir()
            (place / "memory.limit_in_bytes").write_text(str(limit_mb << 20))
        except OSError as error:
            pytest.skip(f"no control group of version 1 can be made here: {error}")
        group = [str(place)]
    script = f"""
import os, resource, sys
size = {limit_mb << 20}
{LIMITS[kind]}
from semilla import cli
sys.exit(cli.main(sys.argv[1:]))
"""

    def start(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *group, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    large = "--num-layers 6 --num-heads 8 --d-model 256 --dim-feedforward 512 --max-sequence-length 128"
    options = ["--output-dir", str(tmp_path / "run"), "--corpus-source", str(text), *SMALL, *large.split()]
    try:
        failed = start(
            "run", *options, "--batch-size", "32", "--num-epochs", "1", "--max-validation-loss", "20"
        )
        cause = assert_failed(tmp_path / "run", failed.stderr, category="oom", phase="prerequisite_check")
        assert "reduce batch_size from 32 to " in cause
        suggested = shlex.split(failed.stderr.split("\nnext: ")[1].splitlines()[0])[1:]
        worked = start(*suggested)
    finally:
        for one in group:
            Path(one).rmdir()
    assert worked.returncode in {0, 5}, worked.stderr
    assert "oom" not in worked.stderr


def test_the_largest_shape_does_not_fit_and_says_so(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A need of 10 GB is refused with 4 GB available, before anything is read."""
    monkeypatch.setattr(memory, "measure_available_mb", lambda: 4000.0)
    shape = "--batch-size 128 --max-sequence-length 2048 --tokenizer-vocab-size 32000 --num-heads 16 --d-model 512"
    assert run(tmp_path / "run", text, *shape.split(), "--num-layers", "12") == 1
    error = capsys.readouterr().err
    cause = assert_failed(tmp_path / "run", error, category="oom", phase="prerequisite_check")
    assert "reduce max_sequence_length or the size of the model" in cause


# ---- phase 2


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (stall, "silent for 0.3 s"),
        (send(BOOK, length=len(BOOK) + 1000), "the connection broke after"),
        (send(b"", status="503 Service Unavailable"), "HTTP 503"),
    ],
    ids=["stalls", "cuts the body", "is busy"],
)
def test_a_failing_server_is_asked_four_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reply: Callable[..., None], reason: str
) -> None:
    """One request, three retries, and no partial file remains."""
    with LoopbackServer(otherwise=reply) as server:
        assert run(tmp_path / "run", f"{server.url}/libro.txt") == 2
        assert sum(head.startswith(b"GET /libro.txt ") for head in server.heads) == NUM_ATTEMPTS
    error = capsys.readouterr().err
    cause = assert_failed(tmp_path / "run", error, category="network", phase="corpus_download")
    assert reason in cause
    assert f"({NUM_ATTEMPTS} attempts)" in cause


@pytest.mark.usefixtures("_impatient")
def test_a_server_that_refuses_is_asked_four_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """When no server listens, the error after the retries lists every mirror."""
    mirrors = [f"http://127.0.0.1:{find_closed_port()}" for _ in range(2)]
    assert run(tmp_path / "run", "gutenberg", "--corpus-mirrors", *mirrors) == 2
    error = capsys.readouterr().err
    cause = assert_failed(tmp_path / "run", error, category="network", phase="corpus_download")
    assert cause.count(f"refused ({NUM_ATTEMPTS} attempts)") == len(mirrors)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n \xef\xbb\xbf", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(3000), "is a PNG picture"),
        (b"PK\x03\x04" + bytes(3000), "is a ZIP archive"),
        (b"\x1f\x8b\x08" + bytes(3000), "is a gzip archive"),
        (bytes(range(256)) * 20, "is a binary file"),
        (b"%PDF-1.7\n" + bytes(3000), "is not a sound PDF"),
        (BOOK[:900], "is too small"),
    ],
    ids=["empty", "blank", "PNG", "ZIP", "gzip", "binary", "PDF", "small"],
)
def test_a_file_that_is_not_text_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    """Phase 2 says what the file is and leaves no corpus."""
    path = tmp_path / "libro.txt"
    path.write_bytes(content)
    assert run(tmp_path / "run", path) == 2
    error = capsys.readouterr().err
    assert reason in assert_failed(
        tmp_path / "run", error, category="invalid_corpus", phase="corpus_download"
    )


def test_undecodable_bytes_are_reported_with_their_offset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has offset and encoding, and its command repeats the run with the right encoding."""
    path = tmp_path / "cañón.txt"
    path.write_bytes(b"El fin de la ma\xf1ana.\n" * 900)
    assert run(tmp_path / "run", path) == 2
    error = capsys.readouterr().err
    cause = assert_failed(tmp_path / "run", error, category="invalid_corpus", phase="corpus_download")
    assert "byte 0xf1 at offset 15 " in cause
    assert "--corpus-encoding latin-1" in cause
    proposed = error.split("\nnext: ")[1].splitlines()[0]
    assert "--corpus-encoding=latin-1" in proposed
    assert str(path) in proposed
    assert str(tmp_path / "run") in proposed


# ---- phases 3 to 5


def test_a_vocabulary_too_large_for_the_text_fails_the_tokenizer(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the largest possible size; the corpus stays."""
    assert run(tmp_path / "run", text, "--tokenizer-vocab-size", "30000") == 3
    error = capsys.readouterr().err
    corpus = {names.CORPUS, names.CORPUS_MANIFEST}
    cause = assert_failed(
        tmp_path / "run", error, category="invalid_corpus", phase="tokenizer_training", leaves=corpus
    )
    assert "tokenizer_vocab_size = 30000: the text supports at most 1" in cause
    assert "kept: the results of corpus_download" in error


def test_a_vocabulary_too_small_for_the_text_fails_the_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message and its next command name the smallest possible size (T2)."""
    source = tmp_path / "漢字.txt"
    source.write_text(make_many_characters(1500), encoding="utf-8")
    assert run(tmp_path / "run", source) == 3
    error = capsys.readouterr().err
    corpus = {names.CORPUS, names.CORPUS_MANIFEST}
    cause = assert_failed(
        tmp_path / "run", error, category="invalid_corpus", phase="tokenizer_training", leaves=corpus
    )
    found = re.search(r"tokenizer_vocab_size = 1000: the text needs at least (\d+) pieces", cause)
    assert found is not None
    assert f"--tokenizer-vocab-size={found[1]} " in error


@pytest.mark.parametrize(
    ("ending", "limit_s", "category", "words"),
    [("exec sleep 600", 0, "io_error", "took over 0 s"), ("kill -9 $$", 3600, "killed", "killed by SIGKILL")],
)
def test_a_tokenizer_training_that_hangs_or_dies_fails_its_phase(
    tmp_path: Path,
    text: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: str,
    limit_s: int,
    category: str,
    words: str,
) -> None:
    """The child process is stopped after its time limit, and the corpus stays (T9)."""
    child, place = tmp_path / "child", tmp_path / "pid"
    child.write_text(f"#!/bin/sh\necho $$ > {place}\n{ending}\n")
    child.chmod(0o755)
    run_phase = tokenizer_training.run

    def run_with_such_a_child(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(sys, "executable", str(child))
        return run_phase(*arguments, **options)

    monkeypatch.setattr(tokenizer_training, "run", run_with_such_a_child)
    monkeypatch.setattr(training, "TIMEOUT_S", limit_s)
    assert run(tmp_path / "run", text) == 3
    corpus = {names.CORPUS, names.CORPUS_MANIFEST}
    cause = assert_failed(
        tmp_path / "run",
        capsys.readouterr().err,
        category=category,
        phase="tokenizer_training",
        leaves=corpus,
    )
    assert words in cause
    assert not Path(f"/proc/{place.read_text().strip()}").exists()


def test_running_out_of_memory_proposes_this_run_with_a_smaller_batch(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command has the same source, directory and shape, and works when pasted."""

    def fail(*arguments: object, **keywords: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(model_training, "_train", fail)
        assert run(tmp_path / "run", text, "--num-epochs", "1") == 4
    error = capsys.readouterr().err
    corpus_and_tokenizer = {names.CORPUS, names.CORPUS_MANIFEST, "tokenizer_1k.model", "tokenizer_1k.vocab"}
    cause = assert_failed(
        tmp_path / "run", error, category="oom", phase="model_training", leaves=corpus_and_tokenizer
    )
    assert "memory ran out with --batch-size 8; try --batch-size 4" in cause
    proposed = error.split("\nnext: ")[1].splitlines()[0]
    assert cli.main(shlex.split(proposed)[1:]) == 0
    hyperparameters = read_run_configuration(tmp_path / "run").training_hyperparameters
    assert (hyperparameters.batch_size, hyperparameters.num_epochs) == (4, 1)


def test_strict_lets_a_missed_target_fail(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missed target is exit 5 instead of a warning; the kept model passes again without --strict."""
    threshold = replace(gates.THRESHOLDS["overfitting_gap"], value=-1000.0)
    monkeypatch.setitem(gates.THRESHOLDS, "overfitting_gap", threshold)
    assert run(tmp_path / "run", text, "--strict", "--num-epochs", "1") == 5
    error = capsys.readouterr().err
    cause = assert_four_lines(error, category="validation_failure", phase="validation")
    assert "target overfitting_gap" in cause
    assert "(needs <= -1000 nats per token), off by 99" in cause
    assert "every checkpoint" in error
    details = read_status(tmp_path / "run")["error_details"]
    assert (details["failed_phase"], details["error_type"]) == ("validation", "validation_failure")
    assert (tmp_path / "run" / names.BEST_MODEL).is_file()
    assert run(tmp_path / "run", text, "--num-epochs", "1") == 0
    assert "missed target overfitting_gap" in capsys.readouterr().out
    records = read_status(tmp_path / "run")["phase_records"]
    assert [records[phase]["outcome"] for phase in PHASES[1:]] == ["reused", "reused", "reused", "done"]


# ---- everywhere


def test_all_mistakes_of_a_command_line_are_reported_together(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is started or created; each mistake has its field, value, range and nearest value."""
    wrong = "--num-layers 99 --batch-size 0 --learning-rate 7 --num-epoch 3 --d-model 100 --num-heads 16"
    assert run(tmp_path / "run", text, *wrong.split()) == 64
    cause = assert_four_lines(capsys.readouterr().err, category="invalid_config", phase="run")
    reported = [line.split(" ")[2] for line in cause.splitlines()[1:]]
    assert sorted(reported) == ["--num-epoch", "batch_size", "learning_rate", "num_heads", "num_layers"]
    (num_layers,) = (line for line in cause.splitlines() if line.startswith("  num_layers = '99' "))
    assert "12; nearest valid value: 12" in num_layers
    assert not (tmp_path / "run").exists()


def test_an_unexpected_exception_is_internal_and_logged(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 70: the traceback is only in semilla.log, its last 50 lines in the status; --debug shows it."""

    def fail(depth: int = 40) -> None:
        if depth == 0:
            raise ZeroDivisionError("¡ay! 💥")
        try:
            fail(depth - 1)
        except ZeroDivisionError as error:
            raise ZeroDivisionError("¡ay! 💥") from error

    monkeypatch.setattr(corpus_download, "run", lambda config, *, progress: fail())
    assert run(tmp_path / "run", text) == 70
    error = capsys.readouterr().err
    cause = assert_failed(tmp_path / "run", error, category="internal", phase="corpus_download")
    assert "ZeroDivisionError: ¡ay! 💥" in cause
    log = (tmp_path / "run" / names.LOG).read_text(encoding="utf-8").splitlines()
    assert len(log) > STDERR_LINES
    tail = read_status(tmp_path / "run")["error_details"]["stderr_output"].splitlines()
    assert tail == log[-STDERR_LINES:]
    assert run(tmp_path / "run", text, "--debug") == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_held_directory_is_left_alone(
    tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 75 in any phase; the second run adds no file to the directory."""
    directory = tmp_path / "run"
    directory.mkdir()
    with hold_lock(directory):
        assert run(directory, text) == 75
        assert {path.name for path in directory.iterdir()} == {names.LOCK}
    cause = assert_four_lines(capsys.readouterr().err, category="locked", phase="prerequisite_check")
    assert str(os.getpid()) in cause


def test_status_shows_a_failure(tmp_path: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status later shows phase, category and cause."""
    run(tmp_path / "run", text.with_name("nada.txt"))
    capsys.readouterr()
    assert cli.main(["status", str(tmp_path / "run")]) == 0
    reported = capsys.readouterr().out
    assert "invalid_corpus" in reported
    assert "prerequisite_check" in reported
    assert "nada.txt" in reported
