"""What ``corpus_source`` means, and how a local file or folder is read."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Literal

from semilla.corpus.catalogue import CATALOGUE
from semilla.corpus.formats import SUFFIXES
from semilla.errors import InvalidCorpusError, from_os_error
from semilla.escape import redact_credentials
from semilla.records import names
from semilla.system.storage import NO_WAIT

MAX_FILE_BYTES = 128 << 20
"""Cleaning takes about ten times the size of a file in memory."""
_NUM_NAMED = 3

MAX_LISTED_FILES = 100
"""More files are recorded as one."""


@dataclass(frozen=True)
class CorpusSource:
    """Where the text comes from: ``value`` is a catalogue name, a URL or a path, as ``kind`` says."""

    kind: Literal["catalogue", "url", "file", "folder"]
    value: str

    @property
    def shown(self) -> str:
        """The source as records name it: without credentials."""
        return redact_credentials(self.value)

    @property
    def is_local(self) -> bool:
        return self.kind in {"file", "folder"}

    @property
    def is_remote(self) -> bool:
        """Whether reading it takes a network."""
        return self.kind == "url" or (self.kind == "catalogue" and bool(CATALOGUE[self.value].books))

    @property
    def hidden_path(self) -> Path | None:
        """The file or folder with the same name as this catalogue entry, which is not read."""
        path = Path(self.value)
        return path if self.kind == "catalogue" and path.exists() else None


def resolve_source(corpus_source: str) -> CorpusSource:
    """Tell names, URLs and paths apart. A catalogue name wins over a file of the same name."""
    if corpus_source in CATALOGUE:
        return CorpusSource("catalogue", corpus_source)
    if corpus_source.lower().startswith(("http://", "https://")):
        return CorpusSource("url", corpus_source)
    return CorpusSource("folder" if Path(corpus_source).is_dir() else "file", corpus_source)


def list_text_files(source: CorpusSource) -> list[Path]:
    """List the files of a local source: the file itself, or every text file below a folder, without hidden ones.

    Files that runs wrote are left out. Sorted by path, so that the corpus does not depend on the file system. Raises
    InvalidCorpusError for none.
    """
    root = Path(source.value)
    if source.kind == "file":
        return [root]
    output = list_output(source)
    files = [path for path in _list_candidates(root) if path not in output]
    if not files:
        passed_over = describe_passed_over(source)
        raise InvalidCorpusError(
            f"there is no {' or '.join(sorted(SUFFIXES))} file in the folder {root}"
            + (f": {passed_over}" if passed_over else ", which is empty")
        )
    return sorted(files, key=lambda path: path.relative_to(root).as_posix())


def describe_passed_over(source: CorpusSource) -> str | None:
    """Name and count what a folder holds besides text files: other files, hidden ones, links to folders."""
    found: dict[str, list[str]] = {}
    for folder, folders, files in os.walk(source.value if source.kind == "folder" else ""):
        for name in sorted(folders):
            if name.startswith("."):
                found.setdefault("hidden", []).append(name)
            elif Path(folder, name).is_symlink():
                found.setdefault("links to folders", []).append(name)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            suffix = Path(name).suffix.lower()
            if name.startswith("."):
                found.setdefault("hidden", []).append(name)
            elif suffix not in SUFFIXES:
                found.setdefault(suffix or "without a suffix", []).append(name)
    if not found:
        return None
    kinds = [f"{len(names)} {kind} ({_name_some(names)})" for kind, names in sorted(found.items())]
    return f"Only {' and '.join(sorted(SUFFIXES))} files are read; passed over in {source.value}: {', '.join(kinds)}"


def _name_some(names: list[str]) -> str:
    return ", ".join(names[:_NUM_NAMED]) + (", ..." if len(names) > _NUM_NAMED else "")


def list_output(source: CorpusSource) -> set[Path]:
    """Text files below a folder, or linked from there, that runs in or below it wrote: no run may train on them."""
    root = Path(source.value)
    place, holds_run = root.resolve(), cache(names.holds_run)

    def is_output(path: Path) -> bool:
        return any(
            names.is_output(path, folder)
            for folder in path.parents
            if folder not in place.parents and holds_run(folder)
        )

    return {path for path in _list_candidates(root) if is_output(path.resolve())}


def _list_candidates(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() in SUFFIXES and not is_hidden and not path.is_dir():
            yield path


def read_text_file(path: Path) -> bytes:
    """Read a regular file of at most 128 MB. Anything that could block or never end is refused.

    Raises InvalidCorpusError for a missing, special or larger file, and the error tree's translation of an OSError.
    """
    try:
        with _open_regular(path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise InvalidCorpusError(f"there is no file or folder {path}") from None
    except OSError as error:
        raise from_os_error(error, path) from error
    if len(data) > MAX_FILE_BYTES:
        raise InvalidCorpusError(
            f"{path} is larger than {MAX_FILE_BYTES >> 20} MB; split it into several files"
        )
    return data


def fingerprint_files(source: CorpusSource) -> list[dict[str, str | None]]:
    """Return path and SHA-256 of each file of a local source, so that any change shows; None for an unreadable one.

    For more than a hundred files, one hash stands for all: the status file is written often.
    """
    try:
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
    raise InvalidCorpusError(f"{path} is not a regular file: give a text file, or a folder of text files")
