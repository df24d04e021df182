"""The output directory and its disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.errors import DiskSpaceError, InvalidConfigError, PermissionDeniedError
from semilla.prerequisites import storage
from semilla.prerequisites.storage import (
    MIB,
    allocate,
    check_directory,
    check_disk,
    estimate_need_bytes,
    list_file_sizes,
    measure_artifacts,
)
from semilla.records import names
from semilla.records.folders import make_directories


def make_config(directory: Path, **changes) -> PipelineConfiguration:
    return PipelineConfiguration(output_directory=str(directory), **changes)


@pytest.fixture
def mount_tmpfs(tmp_path):
    """Mount small memory disks where that is allowed, and unmount them afterwards."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        result = subprocess.run(command, capture_output=True, check=False)
        if result.returncode:
            pytest.skip(f"mounting is not allowed here: {result.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_check_leaves_no_trace(tmp_path):
    """A missing directory is created with its parents, written to, and removed again."""
    check = check_directory(make_config(tmp_path / "año" / "mi salida 🌱"))
    assert check.ok
    assert list(tmp_path.iterdir()) == []


def test_check_leaves_foreign_files_alone(tmp_path):
    """Files in the directory do not change."""
    (tmp_path / "mine.txt").write_text("ñ")
    assert check_directory(make_config(tmp_path)).ok
    assert check_disk(make_config(tmp_path)).ok
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_home_directory_itself_is_refused(tmp_path, monkeypatch):
    """A run does not put its files between a person's own, unless it does already; a folder below is named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    error = check_directory(PipelineConfiguration(output_directory="~")).error
    assert isinstance(error, InvalidConfigError)
    assert "your home directory itself" in error.message
    assert "--output-dir ~/semilla" in error.message
    assert list(tmp_path.iterdir()) == []
    (tmp_path / names.LOCK).touch()
    assert check_directory(PipelineConfiguration(output_directory="~/")).ok
    assert check_directory(PipelineConfiguration(output_directory="~/semilla")).ok


@pytest.mark.parametrize("name", ["file", "file/below/it"])
def test_a_file_in_the_way_is_named(tmp_path, name):
    """A file in place of a folder is named."""
    (tmp_path / "file").write_text("")
    error = check_directory(make_config(tmp_path / name)).error
    assert isinstance(error, InvalidConfigError)
    assert str(tmp_path / "file") + " is in the way" in error.message


def test_a_name_too_long_is_a_wrong_setting(tmp_path):
    """A name of 256 bytes is a configuration error on every machine; 255 bytes work."""
    error = check_directory(make_config(tmp_path / ("x" * 256))).error
    assert isinstance(error, InvalidConfigError)
    assert check_directory(make_config(tmp_path / ("x" * 255))).ok


def test_make_directories_returns_what_it_created(tmp_path):
    """Created folders are listed outermost first, so that they can be removed again."""
    assert make_directories(tmp_path / "a" / "b") == [tmp_path / "a", tmp_path / "a" / "b"]
    assert make_directories(tmp_path / "a" / "b") == []


def test_a_read_only_disk_is_a_permission_error(mount_tmpfs):
    """D9: a volume mounted read-only is refused first."""
    place = mount_tmpfs("ro,size=300m")
    assert isinstance(check_directory(make_config(place / "data")).error, PermissionDeniedError)
    assert check_disk(make_config(place / "data")).ok  # there is room; the other check tells what is wrong


def test_a_disk_that_is_too_small_is_told_with_need_have_and_place(mount_tmpfs):
    """D1: with too little space, the error gives the megabytes needed, those available, and the place."""
    place = mount_tmpfs("size=64k")
    error = check_disk(make_config(place / "data")).error
    assert isinstance(error, DiskSpaceError)
    need = estimate_need_bytes(PipelineConfiguration()) / MIB
    assert f"needs {need:,.0f} MB" in error.message
    assert f"0 MB at {place}" in error.message
    assert error.next_command == f"df -h {place}"
    assert list(place.iterdir()) == []


def test_space_of_earlier_artifacts_counts_as_available(mount_tmpfs):
    """Space used by files of an earlier run counts as available to the next."""
    need_bytes = estimate_need_bytes(PipelineConfiguration())
    place = mount_tmpfs(f"size={need_bytes + 2 * MIB}")
    (place / "checkpoint_epoch_1.pt").write_bytes(b"x" * (20 * MIB))
    assert check_disk(make_config(place)).ok
    (place / "checkpoint_epoch_1.pt").rename(place / "foreign.bin")
    assert isinstance(check_disk(make_config(place)).error, DiskSpaceError)


def test_a_disk_that_reports_too_much_space_is_detected(mount_tmpfs, monkeypatch):
    """D7: space is really allocated, so a volume that reports too much space fails too."""
    place = mount_tmpfs("size=10m")
    usage = os.statvfs("/")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: type("usage", (), {"free": 10**12}))
    assert usage.f_bsize
    error = check_disk(make_config(place)).error
    assert isinstance(error, DiskSpaceError)
    assert "cannot be reserved" in error.message
    assert list(place.iterdir()) == []
    assert allocate(5 * MIB, directory=place, piece_bytes=MIB) is None


def test_a_disk_without_free_names_is_full(mount_tmpfs):
    """D1: a volume with too few free inodes fails like one without space."""
    nearly = mount_tmpfs("size=300m,nr_inodes=20")
    assert "too few free inodes" in str(check_disk(make_config(nearly)).error)
    place = mount_tmpfs("size=300m,nr_inodes=2")
    (place / "last").write_text("")
    with pytest.raises(DiskSpaceError):
        allocate(MIB, directory=place, piece_bytes=MIB)


def test_a_limit_on_file_size_is_found_before_the_run(tmp_path):
    """The check fails if ``ulimit -f`` is below the largest file of a run; the sum does not matter."""
    code = (
        "import resource, sys; from pathlib import Path; from semilla.prerequisites.storage import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB))\n"
        f"place = Path({str(tmp_path)!r})\n"
        "allocate(12 * MIB, directory=place, piece_bytes=3 * MIB)\n"
        "try: allocate(12 * MIB, directory=place, piece_bytes=5 * MIB)\n"
        "except DiskSpaceError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no space left while writing" in result.stdout


def test_file_systems_that_cannot_reserve_are_trusted(tmp_path, monkeypatch):
    """A file system that cannot reserve space is trusted."""

    def refuse(*arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert check_disk(make_config(tmp_path)).ok


def test_the_need_is_the_specified_formula_or_more():
    """The need is corpus + 3 checkpoints + 100 MB, or the sum of the files if that is larger."""
    small = PipelineConfiguration(tokenizer_vocab_size=1000)
    weights_bytes = (1000 * 128 + 328_192 + 128) * 4
    assert estimate_need_bytes(small) == 3 * MIB + 3 * weights_bytes + 100 * MIB
    large = PipelineConfiguration(tokenizer_vocab_size=32000, model_architecture={"d_model": 512})
    assert estimate_need_bytes(large) == sum(list_file_sizes(large))
    assert estimate_need_bytes(large) > 24 * 32000 * 512 * 4


def test_a_local_text_counts_with_its_real_size(tmp_path):
    """A text larger than expected counts with its own size, a folder with the sum of its texts."""
    (tmp_path / "a.txt").write_bytes(b"x" * (5 * MIB))
    (tmp_path / "b.txt").write_bytes(b"x" * MIB)
    assert list_file_sizes(PipelineConfiguration(corpus_source=str(tmp_path)))[0] == 6 * MIB
    assert list_file_sizes(PipelineConfiguration(corpus_source=str(tmp_path / "a.txt")))[0] == 5 * MIB
    assert list_file_sizes(PipelineConfiguration(corpus_source=str(tmp_path / "none")))[0] == 3 * MIB


def test_only_artifacts_are_measured(tmp_path):
    """Foreign files do not count as space that is used again."""
    (tmp_path / "bundle").mkdir()
    for name in ("best_model.pt", "tokenizer_8k.model", "bundle/model.onnx", "foreign.pt", "checkpoint.pt"):
        (tmp_path / name).write_bytes(b"x" * 100)
    assert measure_artifacts(tmp_path) == 300
    assert measure_artifacts(tmp_path / "absent") == 0
