"""From ``corpus_source`` to clean documents, one at a time: generated, downloaded, or read from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.catalogue import CATALOGUE, MIRRORS
from semilla.corpus.cleaning.clean import CleanText, clean_file
from semilla.corpus.fetching.addresses import find_host
from semilla.corpus.fetching.downloads import Download, Downloader
from semilla.corpus.fetching.fetcher import Fetcher
from semilla.corpus.fetching.pace import PACE
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.corpus.formats.plain_text import UndecodableError
from semilla.corpus.manifest import MissingDocument, Provenance
from semilla.corpus.remarks import Remarks
from semilla.corpus.sources import (
    CorpusSource,
    describe_passed_over,
    list_output,
    list_text_files,
    read_text_file,
    resolve_source,
)
from semilla.errors import InvalidConfigError, InvalidCorpusError, NetworkError
from semilla.events import Note, Progress, Warned
from semilla.stories import generate_corpus

_MB = 1 << 20
FILES_PER_NOTE = 1000
"""Reading a thousand small files takes a few seconds."""


@dataclass
class PreparedDocument:
    """A clean text, ready to be written to the corpus. It ends in one line break."""

    title: str
    text: str
    provenance: Provenance
    parts: tuple[str, ...] = ()
    """The documents of a text of many; together they are ``text``. Empty when the text is one document."""
    groups: tuple[str, ...] = ()
    """For each part, the name of its group: a group is held out together."""
    author: str | None = None
    language: str | None = None
    """None: detect it."""
    expected_sha256: str | None = None
    removed: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """For the manifest only: facts that need no attention."""


def prepare_documents(
    config: PipelineConfiguration, *, progress: Progress, policy: FetchPolicy | None = None
) -> Iterator[PreparedDocument | MissingDocument]:
    """Generate, download or read the texts of ``corpus_source``, and clean them.

    Raises InvalidCorpusError for text that cannot be used, and NetworkError for a failed download unless
    ``allow_partial`` lets a book be missing.
    """
    source = resolve_source(config.corpus_source)
    if source.hidden_path:
        progress(
            Note(f"using the catalogue's {source.value}; to use the file of that name, say ./{source.value}")
        )
    if source.is_local:
        yield from _read_local(config, source, progress=progress)
    elif source.is_remote:
        yield from _download(config, source, progress=progress, policy=policy or FetchPolicy())
    else:
        yield from _generate_sample(config)


def list_mirrors(config: PipelineConfiguration) -> tuple[str, ...]:
    """List the Gutenberg mirrors to ask, in order."""
    return config.corpus_mirrors or MIRRORS


def _generate_sample(config: PipelineConfiguration) -> Iterator[PreparedDocument]:
    size_bytes = config.corpus_size_mb * _MB
    for document in generate_corpus(
        seed=config.corpus_seed, size_bytes=size_bytes, grade=config.corpus_grade
    ):
        *firsts, last = document.stories
        parts = (*(f"{story}\n\n" for story in firsts), f"{last}\n")
        yield PreparedDocument(
            title=document.title,
            text="".join(parts),
            parts=parts,
            groups=document.groups,
            provenance=Provenance(source="sample"),
            author="Semilla",
            language=document.language,
        )


def _download(
    config: PipelineConfiguration, source: CorpusSource, *, progress: Progress, policy: FetchPolicy
) -> Iterator[PreparedDocument | MissingDocument]:
    typed = (*config.corpus_mirrors, source.value if source.kind == "url" else "")
    if any("://***@" in address for address in typed):
        raise InvalidConfigError("records do not store user names and passwords: give the full address again")
    fetcher = Fetcher(policy, typed_hosts=frozenset(map(find_host, typed)), progress=progress, pace=PACE)
    downloader = Downloader(Path(config.output_directory), fetcher)
    remarks = Remarks()
    if source.kind == "url":
        download = downloader.download_page(source.value)
        yield _clean_download(config, downloader, download, title=source.shown, remarks=remarks)
        remarks.tell(progress)
        return
    for book in CATALOGUE[source.value].books:
        try:
            download = downloader.download_book(book, mirrors=list_mirrors(config))
        except (NetworkError, InvalidCorpusError) as error:
            if not config.allow_partial:
                raise
            yield MissingDocument(title=book.title, book_id=book.book_id, reason=error.message)
            continue
        document = _clean_download(
            config, downloader, download, title=book.title, book_id=book.book_id, remarks=remarks
        )
        document.title, document.author, document.language = book.title, book.author, book.language
        document.expected_sha256 = book.body_sha256
        yield document
    remarks.tell(progress)


def _clean_download(
    config: PipelineConfiguration,
    downloader: Downloader,
    download: Download,
    *,
    title: str,
    remarks: Remarks,
    book_id: int | None = None,
) -> PreparedDocument:
    data = read_text_file(downloader.directory / download.file_name)
    # A mirror's older tree names its Latin-1 files -8.txt, whether or not their headers declare Latin-1.
    encoding = "latin-1" if download.url.endswith("-8.txt") else config.corpus_encoding
    origin = Provenance(
        source=download.url,
        book_id=book_id,
        mirror=download.mirror,
        attempts=download.attempts,
        file_sha256=download.sha256,
    )
    clean = _clean(data, config, name=download.url, encoding=encoding)
    remarks.add(clean, name=title)
    return _prepare(clean, title=title, origin=origin)


def _read_local(
    config: PipelineConfiguration, source: CorpusSource, *, progress: Progress
) -> Iterator[PreparedDocument]:
    remarks = Remarks()
    passed_over = describe_passed_over(source)
    if passed_over:
        progress(Note(f"{passed_over}."))
    if source.kind == "folder" and (output := list_output(source)):
        progress(Note(f"{len(output)} text files in {source.value} were written by runs: they are not read."))
    files = list_text_files(source)
    for number, path in enumerate(files):
        if number and number % FILES_PER_NOTE == 0:
            progress(Note(f"{number:,} of {len(files):,} files are read."))
        data = read_text_file(path)
        if source.kind == "folder" and not data.strip():
            progress(Warned(f"{path} is empty: left out", topic="invalid_corpus"))
            continue
        clean = _clean(data, config, name=str(path), encoding=config.corpus_encoding)
        remarks.add(clean, name=str(path))
        origin = Provenance(source=str(path), file_sha256=hashlib.sha256(data).hexdigest())
        yield _prepare(clean, title=path.stem, origin=origin)
    remarks.tell(progress)


def _clean(data: bytes, config: PipelineConfiguration, *, name: str, encoding: str) -> CleanText:
    try:
        return clean_file(data, name=name, encoding=encoding)
    except UndecodableError as error:
        if error.guess:
            error.next_command = to_command(config, corpus_encoding=error.guess)
        raise


def _prepare(clean: CleanText, *, title: str, origin: Provenance) -> PreparedDocument:
    is_unmarked = clean.markers == "none" and not clean.warnings
    return PreparedDocument(
        title=clean.title or title,
        text=clean.text,
        provenance=origin.model_copy(update={"encoding": clean.encoding, "markers": clean.markers}),
        author=clean.author,
        removed=clean.removed,
        replaced=clean.replaced,
        warnings=list(clean.warnings),
        remarks=["no Project Gutenberg markers: kept whole"] if is_unmarked else [],
    )
