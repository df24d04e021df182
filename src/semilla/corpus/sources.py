"""What ``corpus_source`` means, and how a local file or folder is read."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Literal

from semilla.corpus.catalogue import CATALOGUE
from semilla.corpus.data_set import PREFIX
from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Reason, UnreadableError
from semilla.corpus.formats.known import advise_large, find_format, has_known_suffix
from semilla.corpus.manifest import LeftOutFile
from semilla.corpus.source_list import split_sources
from semilla.errors import InvalidCorpusError, from_os_error
from semilla.escape import redact_credentials
from semilla.records import names
from semilla.system.storage import NO_WAIT

STANDARD_INPUT = "-"
Kind = Literal["catalogue", "url", "data set", "file", "folder", "pattern", "stdin"]
_NUM_NAMED = 3

MAX_LISTED_FILES = 100
"""More files are recorded as one."""


@dataclass(frozen=True)
class CorpusSource:
    """Where the text comes from: ``value`` is a name, an address, a path or a pattern, as ``kind`` says."""

    kind: Kind
    value: str
    weight: int = 1
    """How often an epoch sees its documents."""

    @property
    def shown(self) -> str:
        """The source as records name it: without credentials."""
        return redact_credentials(self.value)

    @property
    def is_local(self) -> bool:
        return self.kind in {"file", "folder", "pattern", "stdin"}

    @property
    def is_remote(self) -> bool:
        """Whether reading it takes a network."""
        return self.kind in {"url", "data set"} or (
            self.kind == "catalogue" and bool(CATALOGUE[self.value].books)
        )

    @property
    def hidden_path(self) -> Path | None:
        """The file or folder with the same name as this catalogue entry, which is not read."""
        path = Path(self.value)
        return path if self.kind == "catalogue" and path.exists() else None


def resolve_sources(corpus_source: str) -> list[CorpusSource]:
    """List what the setting ``corpus_source`` names: most often one source, else one a line."""
    return [resolve_source(value, weight=weight) for value, weight in split_sources(corpus_source)]


def resolve_source(value: str, *, weight: int = 1) -> CorpusSource:
    """Tell names, URLs, paths and patterns apart. A catalogue name wins over a file of the same name."""
    return CorpusSource(_find_kind(value), value, weight)


def _find_kind(value: str) -> Kind:
    if value in CATALOGUE:
        return "catalogue"
    if value == STANDARD_INPUT:
        return "stdin"
    if value.lower().startswith(("http://", "https://")):
        return "url"
    if value.startswith(PREFIX):
        return "data set"
    if Path(value).is_dir():
        return "folder"
    return "pattern" if glob.has_magic(value) and not Path(value).exists() else "file"


@dataclass(frozen=True)
class Survey:
    """The files of a local source to read, sorted by path, and those that are left out unread, with their reasons."""

    files: tuple[Path, ...]
    left_out: tuple[LeftOutFile, ...] = ()


def list_text_files(source: CorpusSource) -> list[Path]:
    """List the files to read: the file itself, those that match a pattern, or every file below a folder.

    Raises InvalidCorpusError for none.
    """
    return list(survey_texts(source).files)


def survey_texts(source: CorpusSource) -> Survey:
    """Survey a source; raises InvalidCorpusError when there is nothing to read."""
    survey = survey_source(source)
    if survey.files or source.kind == "stdin":
        return survey
    if source.kind == "pattern":
        raise InvalidCorpusError(f"no file matches {source.value}")
    left_out = describe_left_out(survey.left_out)
    raise InvalidCorpusError(
        f"there is no text in the folder {source.value}"
        + (f"; left out: {left_out}" if left_out else ", which is empty")
    )


def survey_source(source: CorpusSource) -> Survey:
    """List what to read and what not: hidden files, links to folders, unknown formats, and files that runs wrote.

    The order does not depend on the file system.
    """
    if source.kind == "stdin":
        return Survey(())
    if source.kind == "file":
        return Survey((Path(source.value),))
    root = Path(source.value if source.kind == "folder" else ".")
    if source.kind == "pattern":
        found = map(Path, glob.iglob(source.value, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        files, left_out = [path for path in found if not path.is_dir()], list[LeftOutFile]()
    else:
        files, left_out = _walk(root)
    is_output = _make_output_test(root.resolve())
    written = [path for path in files if is_output(path)]
    left_out += [LeftOutFile(path=str(path), reason="written by a run") for path in written]
    kept = sorted(set(files).difference(written), key=lambda path: _order(path, root))
    return Survey(tuple(kept), tuple(left_out))


def _order(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _walk(root: Path) -> tuple[list[Path], list[LeftOutFile]]:
    files: list[Path] = []
    left_out: list[LeftOutFile] = []

    def leave_out(path: Path, reason: Reason) -> None:
        left_out.append(LeftOutFile(path=str(path), reason=reason))

    def note_closed(error: OSError) -> None:
        left_out.append(
            LeftOutFile(path=str(error.filename), reason="unreadable", detail=str(error.strerror))
        )

    for folder, folders, all_names in os.walk(root, onerror=note_closed):
        for name in sorted(folders):
            path = Path(folder, name)
            if name.startswith("."):
                leave_out(path, "hidden")
            elif path.is_symlink():
                leave_out(path, "link")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(all_names):
            path = Path(folder, name)
            if name.startswith("."):
                leave_out(path, "hidden")
            elif has_known_suffix(name):
                files.append(path)
            else:
                leave_out(path, "unknown format")
    return files, left_out


def _make_output_test(place: Path) -> Callable[[Path], bool]:
    """Tell files that runs in or below a folder wrote, also when linked from there: no run may train on them."""

    @cache
    def find_runs(folder: Path) -> tuple[Path, ...]:
        above = (folder, *folder.parents)
        return tuple(one for one in above if one not in place.parents and names.holds_run(one))

    resolve_folder = cache(Path.resolve)

    def is_output(path: Path) -> bool:
        # Resolving every file of a large folder would take longer than reading them.
        real = path.resolve() if path.is_symlink() else resolve_folder(path.parent) / path.name
        return any(names.is_output(real, run) for run in find_runs(real.parent))

    return is_output


def describe_left_out(left_out: Iterable[LeftOutFile]) -> str:
    """Count files by reason, and name a few of each; empty for none."""
    found: dict[str, list[str]] = {}
    for one in left_out:
        found.setdefault(one.reason, []).append(Path(one.path).name)
    return ", ".join(f"{len(some):,} {reason} ({_name_some(some)})" for reason, some in sorted(found.items()))


def _name_some(all_names: list[str]) -> str:
    return ", ".join(all_names[:_NUM_NAMED]) + (", ..." if len(all_names) > _NUM_NAMED else "")


@cache
def read_standard_input() -> bytes:
    """Read standard input once, to its end. Raises InvalidCorpusError when it is a terminal or too large."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidCorpusError("--corpus-source - reads standard input, and nothing is piped into it")
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableError(
            f"standard input is larger than {MAX_FILE_BYTES >> 20} MB: write it to a file, and give that",
            reason="too large",
        )
    return data


def read_text_file(path: Path) -> bytes:
    """Read a regular file of at most 128 MB. Anything that could block or never end is refused.

    Raises InvalidCorpusError for a missing, special or larger file, and the error tree's translation of an OSError.
    """
    with open_file(path) as file:
        return read_whole(file, path)


def read_whole(file: BufferedReader, path: Path) -> bytes:
    """Read an open file from its beginning; raises like ``read_text_file``."""
    file.seek(0)
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        kind = find_format(path.name, data)
        raise UnreadableError(
            f"{path} is larger than {MAX_FILE_BYTES >> 20} MB, and a file of its format ({kind.name}) is read as a "
            f"whole: {advise_large(kind)}",
            reason="too large",
        )
    return data


@contextmanager
def open_file(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file; anything that could block or never end is refused. Raises like ``read_text_file``."""
    try:
        with _open_regular(path) as file:
            yield file
    except FileNotFoundError:
        raise InvalidCorpusError(f"there is no file or folder {path}") from None
    except OSError as error:
        raise from_os_error(error, path) from error


def fingerprint_files(source: CorpusSource) -> list[dict[str, str | None]]:
    """Return path and SHA-256 of each file of a local source, so that any change shows; None for an unreadable one.

    For more than a hundred files, one hash stands for all: the status file is written often.
    """
    try:
        if source.kind == "stdin":
            return [{"path": source.value, "sha256": hashlib.sha256(read_standard_input()).hexdigest()}]
        files = list_text_files(source)
    except InvalidCorpusError:
        return []
    found = [{"path": str(path.absolute()), "sha256": _fingerprint(path)} for path in files]
    if len(found) <= MAX_LISTED_FILES:
        return found
    together = hashlib.sha256(json.dumps(found).encode()).hexdigest()
    return [{"path": f"{Path(source.value).absolute()} ({len(found):,} files)", "sha256": together}]


def _fingerprint(path: Path) -> str | None:
    try:
        with _open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, InvalidCorpusError):
        return None


def _open_regular(path: Path) -> BufferedReader:
    # Without O_NONBLOCK, opening a named pipe would wait until another process writes to it.
    descriptor = os.open(path, os.O_RDONLY | NO_WAIT)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise UnreadableError(f"{path} is not a regular file: give a file or a folder", reason="special file")
