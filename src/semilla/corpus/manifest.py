"""``corpus_manifest.json``: where each document came from, what cleaning removed, and where its parts are."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from semilla.errors import IncompatibleError, IntegrityError, from_os_error
from semilla.records import names
from semilla.records.files import read_json, write_json
from semilla.records.record import Record

SCHEMA_VERSION = 1


class Provenance(Record):
    """Where a document came from. Fields that do not apply are None."""

    source: str
    """A URL without credentials, a file's path, or ``sample``."""
    book_id: int | None = None
    mirror: str | None = None
    attempts: int | None = None
    """Number of requests, over all mirrors."""
    file_sha256: str | None = None
    """Hash of the bytes before cleaning."""
    encoding: str = "utf-8"
    markers: str = "none"
    """Project Gutenberg markers found: both, start, end or none."""


class DocumentEntry(Record):
    """One document. Offsets are bytes of the corpus file: [start, cut) is for training, [cut, end) for validation."""

    title: str
    author: str | None = None
    language: str
    language_shares: dict[str, float]
    """Share of the text in each language."""
    provenance: Provenance
    sha256: str
    """Hash of the document's bytes in the corpus file."""
    corpus_drift: bool = False
    """The text differs from the one the catalogue knows: its file was rebuilt, or is damaged."""
    start_byte: int = Field(ge=0)
    cut_byte: int = Field(ge=0)
    end_byte: int = Field(ge=0)
    characters: int = Field(ge=0)
    removed: dict[str, int] = Field(default_factory=dict)
    """Characters that cleaning removed, by kind."""
    replaced: dict[str, int] = Field(default_factory=dict)
    """Characters that another one stands for, by kind: line breaks that became spaces, for example."""
    warnings: list[str] = Field(default_factory=list)


class MissingDocument(Record):
    """A book that could not be downloaded and was left out, as ``allow_partial`` permits."""

    title: str
    book_id: int
    reason: str


class LanguageShare(Record):
    """How much of the corpus is in one language. A document in several languages counts by its shares."""

    bytes: int
    characters: int
    share: float
    """Of all bytes."""


class CorpusManifest(Record):
    schema_version: int = SCHEMA_VERSION
    source: str
    """The configuration's ``corpus_source``, without credentials."""
    corpus_sha256: str
    corpus_bytes: int
    corpus_characters: int
    train_bytes: int
    validation_bytes: int
    validation_characters: int
    languages: list[str]
    """The largest first."""
    language_shares: dict[str, LanguageShare]
    corpus_drift: bool
    validation_overlap: float = 0.0
    """Share of long validation lines that are also in a training part."""
    warnings: list[str] = Field(default_factory=list)
    documents: list[DocumentEntry]
    missing_documents: list[MissingDocument] = Field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """A document of the corpus, split into its training and validation text."""

    title: str
    language: str
    source: str
    train_text: str
    validation_text: str


def write_manifest(output_directory: Path, manifest: CorpusManifest) -> Path:
    """Write the manifest and return its path."""
    path = output_directory / names.CORPUS_MANIFEST
    write_json(path, manifest.model_dump(mode="json"))
    return path


def read_manifest(output_directory: Path) -> CorpusManifest:
    """Read the manifest; raises IntegrityError if it is missing or damaged, IncompatibleError if it is newer."""
    path = output_directory / names.CORPUS_MANIFEST
    if not path.is_file():
        raise IntegrityError(
            f"{path} is missing",
            next_command=f"semilla run --output-dir {shlex.quote(str(output_directory))}",
        )
    values = read_json(path)
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise IncompatibleError(
            f"{path} was written by a newer Semilla (its format is {version}, not {SCHEMA_VERSION})"
        )
    try:
        return CorpusManifest.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise IntegrityError(f"{path} is not a corpus manifest: {place}: {problem['msg']}") from error


def read_documents(output_directory: Path) -> list[Document]:
    """Read the corpus and split it into its documents.

    Raises IntegrityError unless the corpus matches the manifest byte for byte and every offset is valid.
    """
    manifest = read_manifest(output_directory)
    path = output_directory / names.CORPUS
    try:
        data = path.read_bytes()
    except OSError as error:
        if not path.exists():
            raise IntegrityError(f"{path} is missing") from error
        raise from_os_error(error, path) from error
    if len(data) != manifest.corpus_bytes or hashlib.sha256(data).hexdigest() != manifest.corpus_sha256:
        raise IntegrityError(f"{path} does not match its manifest: its size or SHA-256 differs")
    _check_offsets(manifest, path)
    return [_cut_document(data, entry, path) for entry in manifest.documents]


def _check_offsets(manifest: CorpusManifest, path: Path) -> None:
    position = 0
    for entry in manifest.documents:
        if not position == entry.start_byte <= entry.cut_byte <= entry.end_byte:
            raise IntegrityError(f"the manifest's offsets for {entry.title!r} do not match {path}")
        position = entry.end_byte
    if position != manifest.corpus_bytes:
        raise IntegrityError(
            f"the manifest's documents end at byte {position:,}, but {path} ends at {manifest.corpus_bytes:,}"
        )


def _cut_document(data: bytes, entry: DocumentEntry, path: Path) -> Document:
    body = data[entry.start_byte : entry.end_byte]
    if hashlib.sha256(body).hexdigest() != entry.sha256:
        raise IntegrityError(f"{path}: the text of {entry.title!r} does not match its manifest")
    try:
        train_text = data[entry.start_byte : entry.cut_byte].decode("utf-8")
        validation_text = data[entry.cut_byte : entry.end_byte].decode("utf-8")
    except UnicodeDecodeError as error:
        raise IntegrityError(f"the manifest splits {entry.title!r} inside a character") from error
    return Document(entry.title, entry.language, entry.provenance.source, train_text, validation_text)
