"""Available memory compared with needed memory."""

from __future__ import annotations

import gzip
import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from semilla.cli import build_parser
from semilla.configuration.flags import load_arguments
from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.errors import OutOfMemoryError
from semilla.model.shape import count_parameters
from semilla.pipeline.phases.prerequisite_check import predict_text
from semilla.prerequisites import memory
from semilla.prerequisites.memory import check_memory
from semilla.prerequisites.storage import TOKEN_SHARE, list_file_sizes, measure_source_bytes
from semilla.system import memory as machine
from semilla.training.memory import (
    CORPUS_FACTOR,
    ESTIMATE_ERROR,
    TORCH_MB,
    estimate_run_memory_mb,
    find_fitting_batch_size,
)

LARGE = PipelineConfiguration(
    training_hyperparameters=TrainingHyperparameters(batch_size=128, max_sequence_length=512)
)


@pytest.fixture
def give(monkeypatch):
    """Set how much memory is available."""
    return lambda available_mb: monkeypatch.setattr(memory, "measure_available_mb", lambda: available_mb)


def read_command(command):
    """Read the configuration that a suggested command makes."""
    arguments, unknown = build_parser("run").parse_known_args(shlex.split(command)[2:])
    arguments.unknown = unknown
    return load_arguments(arguments).config


def test_ten_per_cent_are_kept_free(give):
    """The estimated need must fit in nine tenths of the available memory."""
    need_mb = estimate_run_memory_mb(LARGE)
    give(need_mb / 0.9 + 1)
    assert check_memory(LARGE).ok
    give(need_mb / 0.9 - 1)
    assert not check_memory(LARGE).ok


def test_too_little_memory_names_the_largest_batch_that_fits(give, monkeypatch):
    """The message and the next command give a batch size that fits with a margin, and no larger one would."""
    available_mb = estimate_run_memory_mb(LARGE.change(num_threads=1)) * 1.1
    give(available_mb)
    error = check_memory(LARGE).error
    assert isinstance(error, OutOfMemoryError)
    assert "reduce batch_size from 128 to " in error.message
    suggested = read_command(error.next_command)
    settings = suggested.training_hyperparameters
    assert settings.max_sequence_length == 512
    assert check_memory(suggested).ok
    most_mb = available_mb * 0.9 / (1 + ESTIMATE_ERROR)
    assert estimate_run_memory_mb(suggested) <= most_mb
    assert estimate_run_memory_mb(suggested.change(batch_size=settings.batch_size + 1)) > most_mb
    give(available_mb * 0.9)
    assert check_memory(suggested).ok


def test_fewer_processes_are_suggested_before_a_smaller_batch(give):
    """With memory for one process but not for two, one process is suggested, which does the same work in more time."""
    together, alone = LARGE.change(num_threads=2), LARGE.change(num_threads=1)
    give(estimate_run_memory_mb(alone) * (1 + ESTIMATE_ERROR) / 0.9 + 1)
    error = check_memory(together).error
    assert "one process (num_threads 1)" in error.message
    assert "batch_size" not in error.message
    suggested = read_command(error.next_command)
    assert suggested.training_hyperparameters == alone.training_hyperparameters
    assert check_memory(suggested).ok


def test_the_measured_size_of_torch_counts(give, monkeypatch):
    """A build that takes 300 MB more needs 300 MB more, and the batch that fits leaves room for it."""
    usual_mb = TORCH_MB[False]
    monkeypatch.setattr("semilla.training.memory.has_cuda_build", lambda: False)
    alone = LARGE.change(num_threads=1)
    need_mb = estimate_run_memory_mb(alone)
    assert estimate_run_memory_mb(alone, torch_mb=usual_mb) == need_mb
    give((need_mb + 299) / 0.9)
    assert check_memory(alone, torch_mb=usual_mb).ok
    assert not check_memory(alone, torch_mb=usual_mb + 300).ok
    budget_mb = need_mb * (1 + ESTIMATE_ERROR)
    fitting = [
        find_fitting_batch_size(alone, budget_mb=budget_mb - less_mb, torch_mb=usual_mb + more_mb)
        for more_mb, less_mb in ((0, 0), (100, 0), (0, 100 * (1 + ESTIMATE_ERROR)))
    ]
    assert fitting[0] == 128 > fitting[1] == fitting[2]


def test_when_nothing_fits_other_solutions_are_named(give):
    """Without room for a single sequence, the message suggests a shorter sequence or a smaller model."""
    give(50)
    error = check_memory(LARGE).error
    assert "not even one sequence" in error.message
    assert "max_sequence_length" in error.message


@pytest.mark.parametrize(("tied", "count"), [(True, 1_352_320), (False, 2_376_320)])
def test_parameters_of_the_default_shape(tied, count):
    """The default shape has the documented number of parameters, tied and untied."""
    config = PipelineConfiguration(model_architecture={"tie_embeddings": tied})
    assert count_parameters(config) == count
    assert count_parameters(config, vocab_size=1000) == count - 7000 * 128 * (1 if tied else 2)


def test_a_resource_limit_is_the_memory_there_is():
    """Under ``ulimit -v`` no more than the limit is available."""
    code = (
        "import resource; from semilla.system.memory import measure_available_mb\n"
        "resource.setrlimit(resource.RLIMIT_AS, (700 * 2**20, 700 * 2**20)); print(measure_available_mb())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(result.stdout) <= 700


@pytest.mark.parametrize(
    ("limit_name", "usage_name", "stat"),
    [
        ("memory.max", "memory.current", "anon 5\ninactive_file 30\n"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "cache 9\ntotal_inactive_file 30\n"),
    ],
)
def test_every_control_group_above_counts(tmp_path, limit_name, usage_name, stat):
    """Free memory is limit minus usage plus reclaimable cache, in the group and in each group around it."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for folder, limit, usage in (
        (inner, "max", "1"),
        (inner.parent, "1000", "400"),
        (tmp_path, "5000", "100"),
    ):
        (folder / limit_name).write_text(limit)
        (folder / usage_name).write_text(usage)
        (folder / "memory.stat").write_text(stat)
    rooms = machine._climb(tmp_path, "/outer/inner", limit=limit_name, usage=usage_name)
    assert list(rooms) == [630, 4930]


def test_a_group_that_is_not_visible_is_passed_over(tmp_path):
    """In a container the named group may not exist; then the root of the mount is used."""
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("10\n")
    (tmp_path / "memory.stat").write_text("anon 1\n")
    rooms = machine._climb(tmp_path, "/docker/abc", limit="memory.max", usage="memory.current")
    assert list(rooms) == [990]


def test_the_size_of_a_local_text_counts_up_to_what_is_held_in_memory(tmp_path: Path) -> None:
    """The disk needs room for all of a large one, and for its tokens; it is not tried, but predicted."""
    needs = []
    for size_mb in (1, 20, 300, 3000):
        path = tmp_path / f"{size_mb}.txt"
        with path.open("wb") as file:
            file.truncate(size_mb << 20)
        config = PipelineConfiguration(corpus_source=str(path))
        needs.append(int(check_memory(config).needed.split()[1].replace(",", "")))
        assert (round(TOKEN_SHARE * (size_mb << 20)) in list_file_sizes(config)) == (size_mb > 32)
    assert needs[0] < needs[1] < needs[2] == needs[3]
    assert needs[2] - needs[0] == pytest.approx(CORPUS_FACTOR * (32 - 3), abs=1)
    assert "3,000 MB, not tried" in predict_text(3000 << 20).found


def test_a_packed_source_counts_by_what_it_holds(tmp_path: Path) -> None:
    """Within a twentieth for .gz of several parts, .zst and Parquet; a damaged file by its size."""
    draw = random.Random(1)
    lines = ["".join(draw.choices("aábcde ", k=200)) for _ in range(40_000)]
    text = "\n".join(lines).encode()
    half = len(text) // 2
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text[:half], 1) + gzip.compress(text[half:], 1))
    (tmp_path / "a.txt.zst").write_bytes(zstandard.compress(text))
    table = {"texto": lines, "id": list(range(len(lines))), "more": [b"\0" * 99] * len(lines)}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    for name in ("a.txt.gz", "a.txt.zst", "a.parquet"):
        path = tmp_path / name
        assert path.stat().st_size < 0.7 * len(text)
        found = measure_source_bytes(PipelineConfiguration(corpus_source=str(path)))
        assert found == pytest.approx(len(text), rel=0.05)
    for name in ("b.txt.gz", "b.txt.zst", "b.parquet"):
        path = tmp_path / name
        path.write_bytes((tmp_path / name.replace("b", "a")).read_bytes()[:4] + os.urandom(1000))
        assert measure_source_bytes(PipelineConfiguration(corpus_source=str(path))) == 1004
