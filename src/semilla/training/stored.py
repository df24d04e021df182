"""The tokens of a large text: encoded once, in several processes, into files that training reads through memory maps.

A set of token files has a record with the hashes of those that are finished. An encoding that was interrupted goes on
after the last of these; the files are the same for any number of processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from semilla.corpus.manifest import LARGE_BYTES, CorpusManifest, read_manifest
from semilla.errors import SemillaError
from semilla.events import Activity, ArtifactWritten, Note, Progress
from semilla.records.files import (
    Artifact,
    collect_garbage,
    make_directory,
    read_record,
    remove_directory,
    write_record,
)
from semilla.records.removal import remove_artifacts
from semilla.system.pool import compute_in_order
from semilla.system.processor import count_cores
from semilla.tokenizer.encoder import Request, make_encoder
from semilla.tokenizer.token_files import (
    SUFFIX,
    Counts,
    Ids,
    Packed,
    TokenFiles,
    verify_token_file,
    write_token_file,
)
from semilla.tokenizer.tokenizer import Tokenizer

START = "start_"
"""First word of the names of the token files of a model that a training goes on from."""
KINDS = ("train", "held_out")
FILE_CHARACTERS = 8 << 20
"""Text of one token file, or up to a document more."""
REQUEST_CHARACTERS = 1 << 20
"""Text that a process encodes at a time, or up to a document more."""
_SLICED_IDS = 1 << 20
"""How many positions are looked up at a time for a slice."""


class StoredStream:
    """Documents of token files in any order, some perhaps repeatedly, read like one array of tokens."""

    def __init__(self, files: TokenFiles, order: Counts) -> None:
        self._files, self._order = files, order
        self._firsts = (files.ends - files.sizes)[order]
        self._ends = np.cumsum(files.sizes[order])
        self._starts = self._ends - files.sizes[order]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, key: slice | Counts) -> Ids:
        if isinstance(key, slice):
            start, stop, _ = key.indices(len(self))
            bounds = range(start, max(start, stop), _SLICED_IDS)
            pieces = [self[np.arange(one, min(one + _SLICED_IDS, stop))] for one in bounds]
            return np.concatenate(pieces) if pieces else np.zeros(0, np.uint16)
        places = np.searchsorted(self._ends, key, side="right")
        return self._files.take(self._firsts[places] + key - self._starts[places])

    def arrange(self, order: Counts) -> StoredStream:
        """The same documents in another order."""
        return StoredStream(self._files, self._order[order])


@dataclass(frozen=True)
class TokenStore:
    """The token files of one text in ``folder``; ``name`` tells them from those of another text there."""

    folder: Path
    text_sha256: str
    """Of everything that decides which documents there are, and in which order."""
    progress: Progress
    name: str = ""
    num_processes: int = 0
    """0: one for each processor."""

    def encode(
        self, texts: Sequence[tuple[Sequence[str], bool]], tokenizer: Tokenizer, *, kind: str
    ) -> TokenFiles:
        """The token files of all documents; ``texts`` has the documents of each text, and whether they have ends.

        Raises IntegrityError for files that changed meanwhile, and the errors of writing them.
        """
        model: bytes = tokenizer.processor.serialized_model_proto()
        key = hashlib.sha256(self.text_sha256.encode() + hashlib.sha256(model).digest()).hexdigest()
        stem = f"{self.name}{kind}"
        make_directory(self.folder)
        collect_garbage(self.folder)
        done = self._read_done(stem, key)
        kept = {path for one in done for path in one}
        others = [
            path for path in _list_files(self.folder, stem) if path.name not in {one.path for one in kept}
        ]
        remove_artifacts(others, self.progress)
        num_done = sum(artifacts[1].size_bytes // 8 for artifacts in done)
        requests = _cut_requests(islice(_list_documents(texts), num_done, None))
        count = self.num_processes or count_cores()
        packed: list[Packed] = []
        for one, ends_file in compute_in_order(make_encoder, model, requests, num_processes=count):
            packed.append(one)
            if not ends_file:
                continue
            path = self.folder / f"{stem}_{len(done):05d}{SUFFIX}"
            done.append(write_token_file(path, packed, root=self.folder))
            packed.clear()
            self._write_done(stem, key, done)
            for artifact in done[-1]:
                self.progress(ArtifactWritten(self.folder / artifact.path))
            self.progress(Activity(f"encoding the text: {len(done):,} token files"))
        return TokenFiles([self.folder / artifacts[0].path for artifacts in done])

    def _read_done(self, stem: str, key: str) -> list[list[Artifact]]:
        """The finished token files; none where the record is of another text or vocabulary, or damaged."""
        done: list[list[Artifact]] = []
        try:
            record = read_record(self.folder / f"{stem}.json")
            for pair in record["files"] if record["key"] == key else []:
                artifacts = [Artifact(**one) for one in pair]
                verify_token_file(artifacts, root=self.folder)
                done.append(artifacts)
        except (SemillaError, KeyError, TypeError):
            pass  # what is left is encoded again
        return done

    def _write_done(self, stem: str, key: str, done: Sequence[Sequence[Artifact]]) -> None:
        files = [[one.as_json() for one in artifacts] for artifacts in done]
        path = self.folder / f"{stem}.json"
        write_record(path, {"key": key, "files": files})
        self.progress(ArtifactWritten(path))


def open_store(
    corpus_directory: Path, folder: Path, *, progress: Progress, name: str = ""
) -> TokenStore | None:
    """The store in ``folder`` for the corpus of ``corpus_directory``; None for a corpus that fits into memory."""
    manifest = read_manifest(corpus_directory)
    if manifest.corpus_bytes <= LARGE_BYTES:
        return None
    return TokenStore(folder, hash_text(manifest), progress, name)


def remove_unused(folder: Path, *, used: Collection[str], progress: Progress) -> None:
    """Remove the token files of texts that are in memory now. ``used`` has the names of the stores that are not."""
    stems = [f"{name}{kind}" for name in ("", START) if name not in used for kind in KINDS]
    found = [path for stem in stems for path in (*_list_files(folder, stem), folder / f"{stem}.json")]
    found = [path for path in found if path.is_file()]
    if not found:
        return
    remove_artifacts(found, progress)
    remove_directory(folder)
    progress(
        Note(
            f"{len(found)} files in {folder.name}/ were removed: they belonged to an earlier run with a larger text."
        )
    )


def _list_files(folder: Path, stem: str) -> list[Path]:
    return sorted(folder.glob(f"{stem}_[0-9]*{SUFFIX}*"))


def hash_text(manifest: CorpusManifest) -> str:
    """SHA-256 of what decides which documents a corpus has, and in which order they are encoded."""
    languages = [entry.language for entry in manifest.documents]
    facts = [manifest.corpus_sha256, manifest.hash_split(), manifest.schema_version, languages]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _list_documents(texts: Sequence[tuple[Sequence[str], bool]]) -> Iterator[tuple[Sequence[str], int, bool]]:
    for documents, has_ends in texts:
        for place in range(len(documents)):
            yield documents, place, has_ends


def _cut_requests(documents: Iterator[tuple[Sequence[str], int, bool]]) -> Iterator[Request]:
    """Documents for one token file after another, a part of it at a time; only here they are read."""
    request: list[tuple[str, bool]] = []
    num_characters = num_requested = 0
    for texts, place, has_ends in documents:
        text = texts[place]
        if request and num_characters >= REQUEST_CHARACTERS:
            yield request, False
            request, num_requested, num_characters = [], num_requested + num_characters, 0
        request.append((text, has_ends))
        num_characters += len(text)
        if num_requested + num_characters >= FILE_CHARACTERS:
            yield request, True
            request, num_requested, num_characters = [], 0, 0
    if request:
        yield request, True
