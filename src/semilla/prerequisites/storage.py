"""The output directory and its disk: whether it can be written and has room for everything a run leaves there."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import tempfile
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import expect_size_mb, name_corpus
from semilla.corpus.formats.extracted import ReadOptions
from semilla.corpus.formats.known import GZIP, PARQUET, ZSTANDARD, find_format
from semilla.corpus.formats.large import estimate_text_bytes
from semilla.corpus.manifest import LARGE_BYTES
from semilla.corpus.sources import list_text_files, open_file, resolve_sources
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
from semilla.records.folders import is_directory, make_directories
from semilla.records.status import read_status
from semilla.system.storage import count_free_files, reserve

MIB = 2**20
CHECKPOINT_WEIGHTS = 4
"""A checkpoint is up to four times the size of the weights: current and best weights, two optimizer moments."""
NUM_CHECKPOINTS = 3 + 2 + 1
"""Of epochs, between epochs, and one being written."""
MODEL_WEIGHTS = 2 + 2
"""Best model, final model, the bundle's, and one of them being written."""
TOKEN_SHARE = 0.7
"""Token files per byte of a large text: two bytes for a token of three bytes or more."""
NUM_FILES = 40
"""More files than a run leaves at any time, without the downloads of a large catalogue."""
SMALL_FILES_BYTES = 5 * MIB
"""Tokenizer, status, metrics, log, report."""
_MAIN_FILES = (
    names.CORPUS_MANIFEST,
    names.CHECKPOINT_PATTERN,
    names.EPOCH_MODEL_PATTERN,
    names.BEST_MODEL,
    names.FINAL_MODEL,
    names.REPORT,
    names.PAGE,
)
_TOKENIZERS = tuple(
    f"{word}_*{suffix}"
    for word in (names.COLLECTION_TOKENIZER, names.OWN_TOKENIZER)
    for suffix in (".model", ".vocab")
)
ARTIFACT_PATTERNS = (
    *_MAIN_FILES,
    names.COLLECTION_CORPUS,
    names.CORPUS,
    *_TOKENIZERS,
    f"{names.DOWNLOADS}/**/*",
    f"{names.BUNDLE}/**/*",
    f"{names.TOKENS}/*",
)
"""Files whose space the next run uses again."""
RESERVED_PATTERNS = (
    *_MAIN_FILES,
    names.COLLECTION_CORPUS,
    *_TOKENIZERS,
    names.STATUS,
    names.CONFIGURATION,
    names.METRICS,
    names.LOG,
    names.HEARTBEAT,
    f"{names.BUNDLE}/bundle.json",
)
"""Files that a run replaces. Those in ``downloads`` are recognised by their records."""


def check_directory(config: PipelineConfiguration) -> Check:
    """Write a file in the output directory, and remove it again with every directory created for it."""
    directory = Path(config.output_directory)
    needed = "a folder that can be written"
    created: list[Path] = []
    try:
        created = make_directories(directory)
        refuse_foreign_files(directory, corpus_source=config.corpus_source)
        probe_path = files.name_temporary(directory)
        files.write_bytes(probe_path, b"semilla")
        files.remove_file(probe_path)
    except SemillaError as error:
        return fail_check("output_directory", error, found="cannot be used", needed=needed)
    finally:
        for folder in reversed(created):
            files.remove_directory(folder)
    return pass_check("output_directory", found=str(directory), needed=needed)


def refuse_foreign_files(directory: Path, *, corpus_source: str) -> None:
    """Raise InvalidConfigError for a directory without a run that is the home directory, or has files in a run's way.

    These are files under names that a run would use. In the directory of a run, that is a ``corpus.txt`` of the user:
    earlier versions did not use the name.
    """
    is_run = (directory / names.LOCK).exists() or _is_run(directory)
    if not is_run and directory.resolve() == Path.home().resolve():
        raise InvalidConfigError(
            f"{directory} is your home directory itself, and a run would put some twenty files between yours. "
            "Give a folder in it: --output-dir ~/semilla"
        )
    if is_run:
        taken = [names.CORPUS] if _is_from_earlier_run(directory, corpus_source) else []
    else:
        patterns = {*RESERVED_PATTERNS, name_corpus(corpus_source)}
        taken = sorted({path.name for pattern in patterns for path in directory.glob(pattern)})
        folders = (names.DOWNLOADS, names.BUNDLE, names.MODELS, names.TOKENS)
        taken += [name for name in folders if _is_other_file(directory / name)]
    if taken:
        raise InvalidConfigError(
            f"{directory} contains files that Semilla did not write, under names it would use: {', '.join(taken)}. "
            "Move them away, or choose another --output-dir",
            kept="all of these files, unchanged",
        )


def check_disk(config: PipelineConfiguration) -> Check:
    """Compare free space with the need, then allocate it for a moment: some volumes report more than they have."""
    directory = Path(config.output_directory)
    parent = find_existing_parent(directory)
    taken_bytes = measure_artifacts(directory)
    need_bytes = estimate_need_bytes(config) + measure_finished_model(directory, keep=config.keep_models)
    have_bytes = shutil.disk_usage(parent).free + taken_bytes
    found, needed = f"{have_bytes / MIB:,.0f} MB at {parent}", f"{need_bytes / MIB:,.0f} MB"
    error: SemillaError | None = None
    command = "df -h"
    if have_bytes < need_bytes:
        error = DiskSpaceError(f"a run needs {needed} of disk space and there are {found}")
    elif lacks_inodes(parent):
        error = DiskSpaceError(f"a run needs {NUM_FILES} files, and {parent} has too few free inodes")
        command = "df -i"
    else:
        try:
            allocate(need_bytes - taken_bytes, directory=parent, piece_bytes=max(list_file_sizes(config)))
        except DiskSpaceError as refused:
            error = DiskSpaceError(f"a run needs {needed} of disk space, which cannot be reserved: {refused}")
        except PermissionDeniedError:
            pass  # check_directory reports this
    if error is None:
        return pass_check("disk_space", found=found, needed=needed)
    error.next_command = f"{command} {shlex.quote(str(parent))}"
    return fail_check("disk_space", error, found=found, needed=needed)


def lacks_inodes(parent: Path) -> bool:
    """Return whether the file system has too few inodes left for the files of a run."""
    free = count_free_files(parent)
    return free is not None and free < NUM_FILES


def estimate_need_bytes(config: PipelineConfiguration) -> int:
    """Estimate the space of a run: the specification's formula, or the sum of its files if that is larger."""
    weights_bytes = count_parameters(config) * PARAMETER_BYTES
    corpus_bytes = expect_size_mb(config.corpus_source, config.corpus_size_mb) * MIB
    return max(corpus_bytes + 3 * weights_bytes + 100 * MIB, sum(list_file_sizes(config)))


def list_file_sizes(config: PipelineConfiguration) -> list[int]:
    """List the largest sizes that the files of a run can have."""
    weights_bytes = count_parameters(config) * PARAMETER_BYTES
    expected_bytes = expect_size_mb(config.corpus_source, config.corpus_size_mb) * MIB
    corpus_bytes = max(expected_bytes, measure_source_bytes(config))
    checkpoints = [CHECKPOINT_WEIGHTS * weights_bytes] * NUM_CHECKPOINTS
    # Four int8 models take as much as one in float32.
    epoch_models = [weights_bytes // 4] * (len(names.KEPT_EPOCHS) if config.keep_epochs else 0)
    models = [weights_bytes] * MODEL_WEIGHTS + epoch_models
    tokens = [round(TOKEN_SHARE * corpus_bytes)] if corpus_bytes > LARGE_BYTES else []
    # The text is stored twice: as downloaded and as cleaned.
    return [corpus_bytes, corpus_bytes, *tokens, *checkpoints, *models, SMALL_FILES_BYTES]


def measure_source_bytes(config: PipelineConfiguration) -> int:
    """Size of the local sources, unpacked; 0 for any other, or if one is not there."""
    local = [source for source in resolve_sources(config.corpus_source) if source.is_local]
    try:
        files = [(path, path.stat()) for source in local for path in list_text_files(source)]
        column = config.text_column
        return sum(_measure_file(path, one.st_size, one.st_mtime_ns, column) for path, one in files)
    except (OSError, SemillaError):
        return 0


@cache
def _measure_file(path: Path, size_bytes: int, changed_ns: int, text_column: str) -> int:  # noqa: ARG001 - a key
    if find_format(path.name, b"") not in {GZIP, PARQUET, ZSTANDARD}:
        return size_bytes
    with open_file(path) as file:
        return estimate_text_bytes(file, path, ReadOptions(text_column=text_column))


def measure_artifacts(directory: Path) -> int:
    """Bytes of earlier runs in ``directory``, which the next run uses again or replaces."""
    if not is_directory(directory):
        return 0
    found = (path for pattern in ARTIFACT_PATTERNS for path in directory.glob(pattern))
    return sum(path.stat().st_size for path in found if path.is_file())


def measure_finished_model(directory: Path, *, keep: int) -> int:
    """Bytes of a finished model that is kept while another is trained; 0 if there is none or it is already kept."""
    try:
        status = read_status(directory)
        if not keep or status is None or "model_training" not in status.phase_records:
            return 0
        status.recall_finished_model()
        return archive.measure_model(directory, status)
    except SemillaError:
        return 0


def find_existing_parent(path: Path) -> Path:
    """Return the path itself or its nearest parent that exists, which is on the same file system."""
    return next(folder for folder in [path, *path.absolute().parents] if is_directory(folder))


def allocate(size_bytes: int, *, directory: Path, piece_bytes: int) -> None:
    """Reserve space for a moment, in files no larger than a run's, so that limits on file size apply alike.

    Raises DiskSpaceError when the file system refuses. A file system that cannot reserve space is trusted.
    """
    with ExitStack() as stack:
        for start in range(0, size_bytes, piece_bytes):
            try:
                # A file without a name disappears with this process, however it ends.
                file = stack.enter_context(
                    tempfile.TemporaryFile(dir=directory, prefix=files.TEMP_PREFIX, suffix=files.TEMP_SUFFIX)
                )
                reserve(file, min(piece_bytes, size_bytes - start))
            except OSError as error:
                if error.errno in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
                    return
                raise from_os_error(error, directory) from error


def _is_run(directory: Path) -> bool:
    try:
        return read_status(directory) is not None
    except SemillaError:
        return False


def _is_from_earlier_run(directory: Path, corpus_source: str) -> bool:
    """Whether the run would replace a ``corpus.txt`` that was there when an earlier version ran."""
    if name_corpus(corpus_source) != names.CORPUS or not (directory / names.CORPUS).exists():
        return False
    with suppress(SemillaError):
        status = read_status(directory)
        record = status and status.phase_records.get("corpus_download")
        written = {one.path for one in record.artifacts} if record else set()
        return bool(
            status and names.COLLECTION_CORPUS in written and names.CORPUS not in status.artifacts_created
        )
    return False


def _is_other_file(path: Path) -> bool:
    return os.path.lexists(path) and not is_directory(path)
