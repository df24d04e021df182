"""The output directory and its disk: can it be written, is there room for all that a run leaves there."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import expect_size_mb
from semilla.errors import (
    DiskSpaceError,
    InvalidConfigError,
    PermissionDeniedError,
    SemillaError,
    from_os_error,
)
from semilla.model.shape import PARAMETER_BYTES, count_parameters
from semilla.prerequisites.check import Check, fail_check, pass_check
from semilla.records import archive, files, names
from semilla.records.folders import make_directories
from semilla.records.status import read_status

MIB = 2**20
CHECKPOINT_WEIGHTS = 4
"""A checkpoint takes up to four times the weights: those, the best, two moments of the optimizer."""
NUM_CHECKPOINTS = 3 + 2 + 1
"""Of epochs, between epochs, and one being written."""
MODEL_WEIGHTS = 2 + 2
"""Best model, final model, the bundle's, and one of them being written."""
NUM_FILES = 32
"""More files than a run leaves at any time; downloads of a large catalogue come on top."""
SMALL_FILES_BYTES = 5 * MIB
"""Tokenizer, status, metrics, log, report."""
ARTIFACT_PATTERNS = (
    names.CORPUS,
    names.CORPUS_MANIFEST,
    names.CHECKPOINT_PATTERN,
    names.BEST_MODEL,
    names.FINAL_MODEL,
    names.REPORT,
    "bilingual_*.*",
    f"{names.DOWNLOADS}/**/*",
    f"{names.BUNDLE}/**/*",
)

RESERVED_PATTERNS = (
    names.CORPUS,
    names.CORPUS_MANIFEST,
    names.CHECKPOINT_PATTERN,
    names.BEST_MODEL,
    names.FINAL_MODEL,
    "bilingual_*.model",
    "bilingual_*.vocab",
    names.STATUS,
    names.CONFIGURATION,
    names.METRICS,
    names.LOG,
    names.HEARTBEAT,
    names.REPORT,
    f"{names.BUNDLE}/bundle.json",
)
"""Names whose files a run replaces; what stands in ``downloads`` is known by its records."""


def check_directory(config: PipelineConfiguration) -> Check:
    """Really write a file there, and leave no trace of it."""
    directory = Path(config.output_directory)
    needed = "a folder that can be written"
    created: list[Path] = []
    try:
        created = make_directories(directory)
        probe_path = files.name_temporary(directory)
        files.write_bytes(probe_path, b"semilla")
        files.remove_file(probe_path)
    except SemillaError as error:
        return fail_check("output_directory", error, found="cannot be written", needed=needed)
    finally:
        for folder in reversed(created):
            files.remove_directory(folder)
    return pass_check("output_directory", found=str(directory), needed=needed)


def refuse_foreign_files(directory: Path) -> None:
    """Raise InvalidConfigError when a directory without a run holds files under the names a run would take."""
    if (directory / names.LOCK).exists() or _is_run(directory):
        return
    taken = sorted({path.name for pattern in RESERVED_PATTERNS for path in directory.glob(pattern)})
    folders = [directory / name for name in (names.DOWNLOADS, names.BUNDLE, names.MODELS)]
    taken += [folder.name for folder in folders if os.path.lexists(folder) and not _is_directory(folder)]
    if taken:
        raise InvalidConfigError(
            f"{directory} holds files that Semilla did not write, under names it would take: {', '.join(taken)}. "
            "Move them away, or choose another --output-dir",
            kept="every one of them",
        )


def _is_run(directory: Path) -> bool:
    try:
        return read_status(directory) is not None
    except SemillaError:
        return False


def check_disk(config: PipelineConfiguration) -> Check:
    """Compare free space with the need, then really allocate it: some volumes promise more than they have."""
    directory = Path(config.output_directory)
    parent = find_existing_parent(directory)
    taken_bytes = measure_artifacts(directory)
    need_bytes = reckon_need_bytes(config) + measure_finished_model(directory, keep=config.keep_models)
    have_bytes = shutil.disk_usage(parent).free + taken_bytes
    found, needed = f"{have_bytes / MIB:,.0f} MB at {parent}", f"{need_bytes / MIB:,.0f} MB"
    error: SemillaError | None = None
    if have_bytes < need_bytes:
        error = DiskSpaceError(f"a run needs {needed} of disk space and there are {found}")
    elif lacks_names(parent):
        error = DiskSpaceError(f"a run needs {NUM_FILES} files, and {parent} has no room for as many names")
    else:
        try:
            allocate(need_bytes - taken_bytes, directory=parent, piece_bytes=max(list_file_sizes(config)))
        except DiskSpaceError as refused:
            error = DiskSpaceError(f"a run needs {needed} of disk space, which cannot be reserved: {refused}")
        except PermissionDeniedError:
            pass  # the check of the output directory tells of this
    if error is None:
        return pass_check("disk_space", found=found, needed=needed)
    error.next_command = f"df -h {shlex.quote(str(parent))}"
    return fail_check("disk_space", error, found=found, needed=needed)


def lacks_names(parent: Path) -> bool:
    """Tell whether the file system counts its files and cannot take those of a run."""
    usage = os.statvfs(parent)
    return usage.f_files > 0 and usage.f_favail < NUM_FILES


def reckon_need_bytes(config: PipelineConfiguration) -> int:
    """Reckon what a run takes: the specification's formula, or what its files add up to if that is more."""
    weights_bytes = count_parameters(config) * PARAMETER_BYTES
    specified_bytes = (
        expect_size_mb(config.corpus_source, config.corpus_size_mb) * MIB + 3 * weights_bytes + 100 * MIB
    )
    return max(specified_bytes, sum(list_file_sizes(config)))


def list_file_sizes(config: PipelineConfiguration) -> list[int]:
    """Sizes of the files a run leaves, each at its most."""
    weights_bytes = count_parameters(config) * PARAMETER_BYTES
    expected_bytes = expect_size_mb(config.corpus_source, config.corpus_size_mb) * MIB
    corpus_bytes = max(expected_bytes, measure_source_bytes(config.corpus_source))
    checkpoints = [CHECKPOINT_WEIGHTS * weights_bytes] * NUM_CHECKPOINTS
    # The text lies there twice: as it was downloaded and as it was cleaned.
    return [corpus_bytes, corpus_bytes, *checkpoints, *[weights_bytes] * MODEL_WEIGHTS, SMALL_FILES_BYTES]


def measure_source_bytes(source: str) -> int:
    """Size of a local source, 0 for anything else."""
    path = Path(source)
    with suppress(OSError):  # not there, or no path at all
        texts = path.glob("**/*.txt") if path.is_dir() else [path]
        return sum(text.stat().st_size for text in texts)
    return 0


def measure_artifacts(directory: Path) -> int:
    """Bytes that earlier runs took in ``directory``; the next run uses them again or replaces them."""
    return sum(path.stat().st_size for path in _find_artifacts(directory))


def measure_finished_model(directory: Path, *, keep: int) -> int:
    """Bytes of a finished model that is kept when another is trained; 0 where there is none, or it is kept already."""
    try:
        status = read_status(directory)
        if not keep or status is None or "model_training" not in status.phase_records:
            return 0
        status.recall_finished_model()
        return archive.measure_model(directory, status)
    except SemillaError:
        return 0


def find_existing_parent(path: Path) -> Path:
    """Return the path itself or its nearest parent that exists: the file system it will stand on."""
    return next(folder for folder in [path, *path.absolute().parents] if _is_directory(folder))


def allocate(size_bytes: int, *, directory: Path, piece_bytes: int) -> None:
    """Reserve space for a moment in files no larger than a run's, which limits on file size would refuse too.

    Raises DiskSpaceError when the file system refuses. Where it cannot reserve, there is nothing to learn.
    """
    with ExitStack() as stack:
        for start in range(0, size_bytes, piece_bytes):
            try:
                # Without a name it is gone when this process is, however it ends.
                file = stack.enter_context(
                    tempfile.TemporaryFile(dir=directory, prefix=files.TEMP_PREFIX, suffix=files.TEMP_SUFFIX)
                )
                os.posix_fallocate(file.fileno(), 0, min(piece_bytes, size_bytes - start))
            except OSError as error:
                if error.errno in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
                    return
                raise from_os_error(error, directory) from error


def _is_directory(path: Path) -> bool:
    # Path.is_dir would raise for a name that is too long.
    return os.path.isdir(path)  # noqa: PTH112


def _find_artifacts(directory: Path) -> Iterator[Path]:
    for pattern in ARTIFACT_PATTERNS if _is_directory(directory) else ():
        yield from (path for path in directory.glob(pattern) if path.is_file())
