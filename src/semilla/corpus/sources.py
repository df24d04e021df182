"""What a configuration's ``corpus_source`` means, and reading it when it is a local file or folder."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Literal

from semilla.corpus.catalogue import CATALOGUE
from semilla.errors import InvalidCorpusError, from_os_error
from semilla.escape import redact_credentials

MAX_FILE_BYTES = 128 << 20
"""Cleaning holds a file in memory some ten times over."""


@dataclass(frozen=True)
class CorpusSource:
    """``kind`` decides how ``value`` is read: a catalogue name, a URL, or a path."""

    kind: Literal["catalogue", "url", "file", "folder"]
    value: str

    @property
    def shown(self) -> str:
        """How the source is named in records: without credentials."""
        return redact_credentials(self.value)

    @property
    def is_remote(self) -> bool:
        """Tell whether reading it takes a network."""
        return self.kind == "url" or (self.kind == "catalogue" and bool(CATALOGUE[self.value].books))

    @property
    def hidden_path(self) -> Path | None:
        """The file or folder that stands in the shadow of a catalogue name."""
        path = Path(self.value)
        return path if self.kind == "catalogue" and path.exists() else None


def resolve_source(corpus_source: str) -> CorpusSource:
    """Tell what the name, URL or path is; a catalogue name wins over a file of the same name."""
    if corpus_source in CATALOGUE:
        return CorpusSource("catalogue", corpus_source)
    if corpus_source.lower().startswith(("http://", "https://")):
        return CorpusSource("url", corpus_source)
    return CorpusSource("folder" if Path(corpus_source).is_dir() else "file", corpus_source)


def list_text_files(source: CorpusSource) -> list[Path]:
    """List the files of a local source: the file itself, or every ``.txt`` below a folder, hidden ones aside.

    Sorted by path, so that the corpus does not depend on the file system. Raises InvalidCorpusError for none.
    """
    root = Path(source.value)
    if source.kind == "file":
        return [root]
    files = sorted(
        (path for path in root.rglob("*") if path.suffix.lower() == ".txt" and not path.is_dir()),
        key=lambda path: path.relative_to(root).as_posix(),
    )
    shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    if not shown:
        raise InvalidCorpusError(f"there is no .txt file in the folder {root}")
    return shown


def read_text_file(path: Path) -> bytes:
    """Read a regular file of at most 128 MB, once; anything that could block or never end is refused.

    Raises InvalidCorpusError for what is no such file, and the error tree's translation of an OSError.
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
            f"{path} is larger than {MAX_FILE_BYTES >> 20} MB; cut it into several files"
        )
    return data


def fingerprint_files(source: CorpusSource) -> list[dict[str, str | None]]:
    """Describe a local source so that any change shows: path and SHA-256 of each file, None if unreadable."""
    try:
        files = list_text_files(source)
    except InvalidCorpusError:
        return []
    return [{"path": str(path.absolute()), "sha256": _fingerprint(path)} for path in files]


def _fingerprint(path: Path) -> str | None:
    try:
        with _open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, InvalidCorpusError):
        return None


def _open_regular(path: Path) -> BufferedReader:
    # Without O_NONBLOCK opening a pipe would wait for somebody to write to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise InvalidCorpusError(f"{path} is not a regular file")
