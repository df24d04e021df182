"""Reads one file of any format: its documents, or those of every file inside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePosixPath

from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError, mend_surrogates
from semilla.corpus.formats.known import Format, find_format
from semilla.corpus.formats.packed import MAX_DEPTH, Budget, unpack
from semilla.errors import DependencyError, InvalidCorpusError, SemillaError
from semilla.installation import list_missing, suggest_installation

LIGHT_BYTES = 1 << 15
"""A hostile file of this size takes less than a second, and most notes are smaller."""


@dataclass(frozen=True)
class FileText:
    """The documents of a file. ``name`` is its path, with that inside its archive."""

    name: str
    format: str
    size_bytes: int
    sha256: str
    documents: tuple[Extracted, ...]

    @property
    def title(self) -> str:
        return PurePosixPath(self.name).stem


@dataclass(frozen=True)
class LeftOut:
    """A file that gives no text, and why."""

    name: str
    error: SemillaError

    @property
    def reason(self) -> str:
        return self.error.reason if isinstance(self.error, UnreadableError) else "unreadable"


def read_file(
    data: bytes, options: ReadOptions, *, name: str, reader: ConfinedReader
) -> Iterator[FileText | LeftOut]:
    """Read a file; an archive gives several. A file that cannot be read is left out with its reason."""
    yield from _read(data, options, name=name, reader=reader, budget=Budget(), depth=0)


def _read(
    data: bytes, options: ReadOptions, *, name: str, reader: ConfinedReader, budget: Budget, depth: int
) -> Iterator[FileText | LeftOut]:
    try:
        kind = find_format(name, data)
        _refuse_unusable(kind, name=name)
        if not kind.is_packed:
            documents = list_documents(data, options, kind, name, reader)
            yield FileText(name, kind.name, len(data), hashlib.sha256(data).hexdigest(), documents)
            return
        if depth == MAX_DEPTH:
            raise UnreadableError(f"{name} is an archive {depth} archives deep", reason="too large")
        for member in unpack(data, kind, name=name, budget=budget):
            if member.error:
                yield LeftOut(member.name, member.error)
            else:
                yield from _read(
                    member.data, options, name=member.name, reader=reader, budget=budget, depth=depth + 1
                )
    except InvalidCorpusError as error:
        yield LeftOut(name, error)


def require_readers(names: Iterable[str]) -> None:
    """Raise DependencyError when files of these names need a package that is not installed."""
    for name in names:
        try:
            _refuse_unusable(find_format(name, b""), name=name)
        except UnreadableError as error:
            raise DependencyError(error.message, next_command=error.next_command) from error


def _refuse_unusable(kind: Format, *, name: str) -> None:
    missing = list_missing(kind.packages)
    if missing:
        raise UnreadableError(
            f"{name} is {kind.name}, which needs packages that are not installed: {', '.join(missing)}",
            reason="package missing",
            next_command=suggest_installation("text"),
        )


def _read_light(data: bytes, options: ReadOptions, *, module: str, name: str) -> Iterator[Extracted]:
    """Read a small file in this process. What its reader raises is the same error as in the child."""
    try:
        yield from import_module(module).read(data, options, name=name)
    except InvalidCorpusError:
        raise
    except Exception as error:
        raise UnreadableError(
            f"{name} cannot be read: {type(error).__name__}: {error}", reason="unreadable"
        ) from error


def list_documents(
    data: bytes, options: ReadOptions, kind: Format, name: str, reader: ConfinedReader
) -> tuple[Extracted, ...]:
    module = f"semilla.corpus.formats.{kind.module}"
    if kind.is_light and len(data) <= LIGHT_BYTES:
        found = _read_light(data, options, module=module, name=name)
    elif kind.is_confined:
        found = reader.read(data, options, module=module, name=name)
    else:
        found = import_module(module).read(data, options, name=name)
    documents = tuple(map(mend_surrogates, found))
    if not any(document.text.strip() for document in documents):
        raise UnreadableError(f"{name} holds no text", reason="empty")
    return documents
