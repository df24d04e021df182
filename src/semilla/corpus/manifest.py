"""``corpus_manifest.json``: where each text came from, what cleaning removed, and where its documents begin and end.

An entry describes one text: a book, a file, or all stories of a language. Most texts are one document. A text of many
documents lists the size of each, in the order of the corpus file, and which are held out.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal, overload

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from semilla.errors import IncompatibleError, IntegrityError, from_os_error
from semilla.records import names
from semilla.records.files import hash_file, read_json, write_json
from semilla.records.record import Record
from semilla.system import interrupts
from semilla.system.mapped_file import MappedFile

SCHEMA_VERSION = 2
"""Version 1 knew no documents inside a text, and training on it has no end tokens."""
MAX_MANIFEST_BYTES = 128 << 20
"""A text takes about a kilobyte of it, so this is enough for a folder of 100,000 files."""
LARGE_BYTES = 32 << 20
"""A larger corpus is not held in memory: its documents are read from the file when they are asked for."""


Spans = npt.NDArray[np.int64]
"""First bytes and ends, [N, 2]."""


class Provenance(Record):
    """Where a document came from. Fields that do not apply are None."""

    source: str
    """A URL without credentials, ``hf://datasets/NAME@COMMIT/FILE``, a file's path, or ``sample``."""
    book_id: int | None = None
    mirror: str | None = None
    attempts: int | None = None
    """Number of requests, over all mirrors."""
    file_sha256: str | None = None
    """Hash of the bytes before cleaning."""
    file_bytes: int | None = None
    """Size of the file, unpacked."""
    licence: str | None = None
    """Of a data set, as its card gives it."""
    format: str = "text"
    encoding: str = "utf-8"
    markers: str = "none"
    """Project Gutenberg markers found: both, start, end or none."""


class DocumentEntry(Record):
    """One text. Offsets are bytes of the corpus file.

    Of a text that is one document, [start, cut) is for training and [cut, end) for validation; either may be empty. A
    text of many documents has no cut.
    """

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
    cut_byte: int | None = Field(default=None, ge=0)
    end_byte: int = Field(ge=0)
    document_bytes: list[Annotated[int, Field(gt=0)]] = Field(default_factory=list)
    """Sizes of the documents in a text of many; they fill it from start to end."""
    held_out: list[Annotated[int, Field(ge=0)]] = Field(default_factory=list)
    """Places in ``document_bytes`` of the documents for validation, ascending."""
    characters: int = Field(ge=0)
    removed: dict[str, int] = Field(default_factory=dict)
    """Characters that cleaning removed, by kind."""
    replaced: dict[str, int] = Field(default_factory=dict)
    """Characters that another one stands for, by kind: line breaks that became spaces, for example."""
    layout: str | None = None
    """What became of its lines: prose, lines, mixed or verbatim."""
    weight: int = Field(default=1, ge=1)
    """How often an epoch sees what is for training."""
    warnings: list[str] = Field(default_factory=list)

    @property
    def train_bytes(self) -> int:
        return sum(end - start for start, end in self.list_spans(held_out=False))

    def list_spans(self, *, held_out: bool) -> list[tuple[int, int]]:
        """First byte and end of each document, or part of one, that is held out, or that is not. None is empty."""
        if self.cut_byte is not None:
            ends = (self.cut_byte, self.end_byte) if held_out else (self.start_byte, self.cut_byte)
            return [ends] if ends[0] < ends[1] else []
        places = set(self.held_out)
        spans = pairwise(accumulate(self.document_bytes, initial=self.start_byte))
        return [span for place, span in enumerate(spans) if (place in places) == held_out]


class MissingDocument(Record):
    """A book that could not be downloaded and was left out, as ``allow_partial`` permits."""

    title: str
    book_id: int
    reason: str


class LeftOutFile(Record):
    """A file of the source that gave no text, and why."""

    path: str
    """With its path inside an archive."""
    reason: str
    """One or two words: empty, encrypted, unknown format and so on."""
    detail: str = ""


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
    corpus_file: Literal["corpus_bilingual.txt", "corpus.txt"] = "corpus_bilingual.txt"
    """Name of the corpus file. Earlier versions had one name for every source."""
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
    """The texts, in the order of the corpus file."""
    missing_documents: list[MissingDocument] = Field(default_factory=list)
    left_out: list[LeftOutFile] = Field(default_factory=list)
    """Files of the source that are in no document."""

    def hash_split(self) -> str:
        """SHA-256 of what is held out, of where documents begin and end, and of weights."""
        weights = [entry.weight for entry in self.documents]
        has_weights = max(weights, default=1) > 1
        digest = hashlib.sha256(b"[[" if has_weights else b"[")
        for number, entry in enumerate(self.documents):  # the spans of all would take much memory
            spans = [entry.list_spans(held_out=which) for which in (False, True)]
            digest.update((", " * (number > 0) + json.dumps(spans)).encode())
        digest.update(f"], {json.dumps(weights)}]".encode() if has_weights else b"]")
        return digest.hexdigest()

    @property
    def epoch_bytes(self) -> int:
        """What an epoch reads: ``train_bytes``, each text as often as its weight says."""
        return sum(entry.weight * entry.train_bytes for entry in self.documents)

    def describe_weights(self) -> list[str]:
        """For each weight, its texts and their share of an epoch; empty if no text has one above 1."""
        weights = sorted({entry.weight for entry in self.documents}, reverse=True)
        if weights in ([], [1]):
            return []
        told = []
        for weight in weights:
            texts = [entry for entry in self.documents if entry.weight == weight]
            size = sum(entry.train_bytes for entry in texts)
            told.append(
                f"weight {weight}: {len(texts):,} text{'s' * (len(texts) != 1)}, "
                f"{size / self.train_bytes:.0%} of the training text, "
                f"{weight * size / self.epoch_bytes:.0%} of an epoch"
            )
        return told


@dataclass(frozen=True)
class StoredTexts(Sequence[str]):
    """Texts at ``spans`` of the corpus file, decoded when they are asked for.

    Raises IntegrityError for a span that begins or ends inside a character.
    """

    read: Callable[[int, int], bytes]
    spans: Spans
    title: str

    def __len__(self) -> int:
        return len(self.spans)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return StoredTexts(self.read, self.spans[place], self.title)
        start, end = self.spans[place]
        try:
            return self.read(int(start), int(end)).decode("utf-8")
        except UnicodeDecodeError as error:
            raise IntegrityError(f"the manifest splits {self.title!r} inside a character") from error


@dataclass(frozen=True)
class Document:
    """A text of the corpus: its documents for training, and those for validation.

    A document that is split has a part in both. ``has_ends`` is False in the corpus of an earlier Semilla, whose models
    know no end token.
    """

    title: str
    language: str
    source: str
    train_texts: Sequence[str]
    validation_texts: Sequence[str]
    has_ends: bool = True
    weight: int = 1
    """How often an epoch sees ``train_texts``."""

    @property
    def is_split(self) -> bool:
        """Whether the text is one document, of which a part is held out."""
        return len(self.train_texts) == len(self.validation_texts) == 1

    @property
    def train_text(self) -> str:
        return "".join(self.train_texts)

    @property
    def validation_text(self) -> str:
        return "".join(self.validation_texts)


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
    values = read_json(path, limit=MAX_MANIFEST_BYTES)
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
    path = output_directory / manifest.corpus_file
    is_large = manifest.corpus_bytes > LARGE_BYTES
    try:
        data = MappedFile(path) if is_large else path.read_bytes()
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        if not path.exists():
            raise IntegrityError(f"{path} is missing") from error
        if isinstance(error, ValueError):
            raise _find_mismatch(path) from error
        raise from_os_error(error, path) from error
    sha256 = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else hash_file(path)
    if len(data) != manifest.corpus_bytes or sha256 != manifest.corpus_sha256:
        raise _find_mismatch(path)
    _check_offsets(manifest, path)
    read = data.read if isinstance(data, MappedFile) else lambda start, end: data[start:end]
    return [
        _cut_text(read, entry, path, has_ends=manifest.schema_version > 1, is_large=is_large)
        for entry in manifest.documents
    ]


def _find_mismatch(path: Path) -> IntegrityError:
    return IntegrityError(f"{path} does not match its manifest: its size or SHA-256 differs")


def _check_offsets(manifest: CorpusManifest, path: Path) -> None:
    position = 0
    for entry in manifest.documents:
        if position != entry.start_byte or not _is_consistent(entry):
            raise IntegrityError(f"the manifest's offsets for {entry.title!r} do not match {path}")
        position = entry.end_byte
    if position != manifest.corpus_bytes:
        raise IntegrityError(
            f"the manifest's documents end at byte {position:,}, but {path} ends at {manifest.corpus_bytes:,}"
        )


def _is_consistent(entry: DocumentEntry) -> bool:
    """Whether cut or documents lie inside the text, and the held-out places are documents."""
    if entry.cut_byte is not None:
        return entry.start_byte <= entry.cut_byte <= entry.end_byte and not entry.document_bytes
    fills = entry.start_byte + sum(entry.document_bytes) == entry.end_byte
    return fills and set(entry.held_out) <= set(range(len(entry.document_bytes)))


def _cut_text(
    read: Callable[[int, int], bytes], entry: DocumentEntry, path: Path, *, has_ends: bool, is_large: bool
) -> Document:
    interrupts.check()
    if hashlib.sha256(read(entry.start_byte, entry.end_byte)).hexdigest() != entry.sha256:
        raise IntegrityError(f"{path}: the text of {entry.title!r} does not match its manifest")
    train_texts, validation_texts = (
        StoredTexts(read, np.array(entry.list_spans(held_out=which), np.int64).reshape(-1, 2), entry.title)
        for which in (False, True)
    )
    return Document(
        entry.title,
        entry.language,
        entry.provenance.source,
        train_texts if is_large else tuple(train_texts),
        validation_texts if is_large else tuple(validation_texts),
        has_ends,
        entry.weight,
    )
