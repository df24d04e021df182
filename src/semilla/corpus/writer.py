"""Writes documents to the corpus file and its manifest: split in two, hashed, without duplicates."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from semilla.corpus.catalogue import name_corpus
from semilla.corpus.language import detect_languages
from semilla.corpus.manifest import (
    CorpusManifest,
    DocumentEntry,
    LanguageShare,
    LeftOutFile,
    MissingDocument,
    write_manifest,
)
from semilla.corpus.prepared import PreparedDocument
from semilla.corpus.split import VALIDATION_SHARE
from semilla.corpus.splitter import Splitter
from semilla.errors import IntegrityError, InvalidCorpusError, NetworkError
from semilla.events import ArtifactWritten, Progress, Warned
from semilla.records.files import open_atomic
from semilla.system import interrupts

MIN_CORPUS_CHARACTERS = 2000
_MAX_OVERLAP = 0.1
_MIN_LANGUAGE_SHARE = 0.05
"""A language below this share of the corpus is a quotation or a mistake of the detector."""
_MB = 1 << 20


@dataclass
class CorpusWriter:
    """Writes one corpus. ``languages`` and sizes are those the configuration names."""

    output_directory: Path
    source: str
    progress: Progress
    languages: tuple[str, ...] = ()
    expected_bytes: int = 0
    sequence_length: int = 0
    refuses_drift: bool = False
    missing: list[MissingDocument] = field(default_factory=list)
    left_out: list[LeftOutFile] = field(default_factory=list)
    entries: list[DocumentEntry] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _titles: dict[str, str] = field(default_factory=dict)
    """Of the entries, by the hash of their text."""
    _splitter: Splitter = field(default_factory=Splitter)

    @property
    def size_bytes(self) -> int:
        return self.entries[-1].end_byte if self.entries else 0

    def write(self, documents: Iterable[PreparedDocument | MissingDocument | LeftOutFile]) -> CorpusManifest:
        """Write corpus and manifest.

        Raises InvalidCorpusError for too little text, NetworkError when every document is missing, and
        IntegrityError for corpus drift that the configuration refuses.
        """
        path = self.output_directory / name_corpus(self.source)
        digest = hashlib.sha256()
        with open_atomic(path) as file:
            for document in documents:
                interrupts.check()
                body = self._add(document)
                digest.update(body)
                file.write(body)
            shares = self._sum_language_shares() if self.entries else {}
            self._split()
            self._refuse_too_little()
        self.progress(ArtifactWritten(path))
        manifest = self._describe(digest.hexdigest(), shares)
        self.progress(ArtifactWritten(write_manifest(self.output_directory, manifest)))
        return manifest

    def warn(self, text: str, *, topic: str = "invalid_corpus") -> None:
        """Report something the user should look into, and note it for the manifest."""
        self.warnings.append(text)
        self.progress(Warned(text, topic=topic))

    def _add(self, document: PreparedDocument | MissingDocument | LeftOutFile) -> bytes:
        """Note a document for the manifest and return the bytes to write, none for one that is left out."""
        if isinstance(document, LeftOutFile):
            self.left_out.append(document)
            return b""
        if isinstance(document, MissingDocument):
            self.missing.append(document)
            self.warn(f"{document.title} is missing: {document.reason}", topic="network")
            return b""
        body = document.text.encode("utf-8")
        traits = document.measure(finds_paragraphs=False, compares_similar=False)
        sha256 = traits.sha256
        same = self._titles.get(sha256)
        if same is not None:
            name = document.title if document.title != same else document.provenance.source
            self.warn(
                f"{name}: the same text as {same}, left out: "
                "the model would be validated on text it was trained on"
            )
            self.left_out.append(
                LeftOutFile(path=document.provenance.source, reason="duplicate", detail=f"the same as {same}")
            )
            return b""
        for warning in document.warnings:
            self.warn(warning)
        self._titles[sha256] = document.title
        entry = self._describe_document(document, len(body), sha256)
        self.entries.append(entry)
        self._splitter.add(entry, traits, groups=document.groups)
        return body

    def _describe_document(self, document: PreparedDocument, num_bytes: int, sha256: str) -> DocumentEntry:
        drifted = document.expected_sha256 not in {None, sha256}
        if drifted:
            self._report_drift(document.title)
        shares = self._find_language_shares(document)
        return DocumentEntry(
            title=document.title,
            author=document.author,
            language=next(iter(shares)),
            language_shares=shares,
            provenance=document.provenance,
            sha256=sha256,
            corpus_drift=drifted,
            start_byte=self.size_bytes,
            end_byte=self.size_bytes + num_bytes,
            characters=len(document.text),
            removed=document.removed,
            replaced=document.replaced,
            layout=document.layout,
            weight=document.weight,
            warnings=[*document.warnings, *document.remarks],
        )

    def _report_drift(self, title: str) -> None:
        message = f"{title}: the text differs from the one this version of Semilla knows (corpus drift)"
        if self.refuses_drift:
            raise IntegrityError(message, next_command="semilla guide corpus_drift")
        self.warn(message, topic="corpus_drift")

    def _find_language_shares(self, document: PreparedDocument) -> dict[str, float]:
        if document.language:
            return {document.language: 1.0}
        if len(self.languages) == 1:
            return {self.languages[0]: 1.0}
        return detect_languages(document.text, allowed=self.languages)

    def _refuse_too_little(self) -> None:
        if self.missing and not self.entries:
            raise NetworkError(f"every book is missing; {self.missing[-1].reason}")
        found = sum(entry.characters for entry in self.entries)
        if found < MIN_CORPUS_CHARACTERS or self._splitter.num_held_out_characters < self.sequence_length:
            minimum = max(MIN_CORPUS_CHARACTERS, ceil(self.sequence_length / VALIDATION_SHARE))
            raise InvalidCorpusError(
                f"the corpus is too small: {found:,} characters of text, and at least {minimum:,} are needed "
                f"(a tenth is held out for validation and must fill a sequence of {self.sequence_length} tokens)"
            )

    def _split(self) -> None:
        """Hold out a tenth of every language."""
        if self._splitter.split():
            self.warn(
                "most documents are nearly the same, so the validation text is nearly the same as the training text: "
                "the validation loss will be too low"
            )

    def _describe(self, corpus_sha256: str, shares: dict[str, LanguageShare]) -> CorpusManifest:
        self._warn_about_content(shares)
        train_bytes = sum(entry.train_bytes for entry in self.entries)
        return CorpusManifest(
            source=self.source,
            corpus_file=name_corpus(self.source),
            corpus_sha256=corpus_sha256,
            corpus_bytes=self.size_bytes,
            corpus_characters=sum(entry.characters for entry in self.entries),
            train_bytes=train_bytes,
            validation_bytes=self.size_bytes - train_bytes,
            validation_characters=self._splitter.num_held_out_characters,
            languages=list(shares),
            language_shares=shares,
            corpus_drift=any(entry.corpus_drift for entry in self.entries),
            validation_overlap=self._splitter.overlap.share,
            warnings=self.warnings,
            documents=self.entries,
            missing_documents=self.missing,
            left_out=self.left_out,
        )

    def _sum_language_shares(self) -> dict[str, LanguageShare]:
        """Divide the corpus between its languages, the largest first. Small ones become the largest."""
        num_bytes, num_characters = Counter[str](), Counter[str]()
        for entry in self.entries:
            for language, share in entry.language_shares.items():
                num_bytes[language] += round(share * (entry.end_byte - entry.start_byte))
                num_characters[language] += round(share * entry.characters)
        total = self.size_bytes
        largest = max(num_bytes, key=lambda language: num_bytes[language])
        for language in [one for one, count in num_bytes.items() if count < _MIN_LANGUAGE_SHARE * total]:
            num_bytes[largest] += num_bytes.pop(language)
            num_characters[largest] += num_characters.pop(language)
        for entry in self.entries:
            entry.language = entry.language if entry.language in num_bytes else largest
        return {
            language: LanguageShare(bytes=count, characters=num_characters[language], share=count / total)
            for language, count in num_bytes.most_common()
        }

    def _warn_about_content(self, shares: dict[str, LanguageShare]) -> None:
        for language in self.languages:
            if language not in shares:
                self.warn(f"less than a twentieth of the corpus is in {language}", topic="language")
        if self.expected_bytes and not self.expected_bytes / 2 <= self.size_bytes <= self.expected_bytes * 2:
            self.warn(
                f"the corpus is {self.size_bytes / _MB:.2f} MB, "
                f"but corpus_size_mb is {self.expected_bytes / _MB:g}",
                topic="corpus_size",
            )
        has_stories = any(entry.provenance.source == "sample" for entry in self.entries)
        # The embedded stories share sentences on purpose, but no combination of character, object and plot.
        if self._splitter.overlap.share > _MAX_OVERLAP and not has_stories:
            self.warn(
                f"{self._splitter.overlap.share:.0%} of the validation text is also in the training text: "
                "is a text in there twice? The validation loss will be too low"
            )
