"""A configuration's corpus source -> prepared documents, one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.assembly import PreparedDocument
from semilla.corpus.catalogue import CATALOGUE, MIRRORS, Book
from semilla.corpus.cleaning.clean import CleanText, clean_file
from semilla.corpus.cleaning.decode import UndecodableError
from semilla.corpus.fetching.addresses import find_host
from semilla.corpus.fetching.downloads import Download, Downloader
from semilla.corpus.fetching.fetch import Fetcher, FetchPolicy
from semilla.corpus.fetching.pace import PACE
from semilla.corpus.manifest import MissingDocument, Provenance
from semilla.corpus.sources import CorpusSource, list_text_files, read_text_file, resolve_source
from semilla.errors import InvalidConfigError, InvalidCorpusError, NetworkError
from semilla.events import Note, Progress, Warned
from semilla.stories import generate_corpus

_MB = 1 << 20


def gather_documents(
    config: PipelineConfiguration, *, progress: Progress, policy: FetchPolicy | None = None
) -> Iterator[PreparedDocument | MissingDocument]:
    """Generate, download or read what ``corpus_source`` names, and clean it.

    Raises InvalidCorpusError for text that cannot be used and NetworkError for what cannot be downloaded,
    unless ``allow_partial`` lets a book be missing.
    """
    source = resolve_source(config.corpus_source)
    if source.hidden_path:
        progress(
            Note(
                f"{source.value} is taken as the catalogue's; for the file of that name say ./{source.value}"
            )
        )
    if source.kind == "catalogue" and not CATALOGUE[source.value].books:
        yield from _generate_sample(config)
    elif source.is_remote:
        yield from _download(config, source, progress=progress, policy=policy or FetchPolicy())
    else:
        yield from _read_local(config, source, progress=progress)


def list_mirrors(config: PipelineConfiguration) -> tuple[str, ...]:
    """List the Gutenberg mirrors to ask, in order."""
    return config.corpus_mirrors or MIRRORS


def _generate_sample(config: PipelineConfiguration) -> Iterator[PreparedDocument]:
    for document in generate_corpus(seed=config.corpus_seed, size_bytes=config.corpus_size_mb * _MB):
        yield PreparedDocument(
            title=document.title,
            text=document.text.rstrip("\n") + "\n",
            provenance=Provenance(source="sample"),
            author="Semilla",
            language=document.language,
        )


def _download(
    config: PipelineConfiguration, source: CorpusSource, *, progress: Progress, policy: FetchPolicy
) -> Iterator[PreparedDocument | MissingDocument]:
    typed = (*config.corpus_mirrors, source.value if source.kind == "url" else "")
    if any("://***@" in address for address in typed):
        raise InvalidConfigError("records keep no user names and passwords: give the whole address again")
    fetcher = Fetcher(policy, typed_hosts=frozenset(map(find_host, typed)), progress=progress, pace=PACE)
    downloader = Downloader(Path(config.output_directory), fetcher)
    if source.kind == "url":
        download = downloader.obtain_page(source.value)
        yield _prepare(
            _clean_download(downloader, download, config), title=source.shown, origin=_trace(download)
        )
        return
    for book in CATALOGUE[source.value].books:
        try:
            download = downloader.obtain_book(book, mirrors=list_mirrors(config))
        except (NetworkError, InvalidCorpusError) as error:
            if not config.allow_partial:
                raise
            yield MissingDocument(title=book.title, book_id=book.book_id, reason=error.message)
        else:
            yield _prepare_book(book, _clean_download(downloader, download, config), download)


def _clean_download(downloader: Downloader, download: Download, config: PipelineConfiguration) -> CleanText:
    data = read_text_file(downloader.directory / download.file_name)
    # The older trees name their Latin-1 files so, whatever their headers say or leave out.
    encoding = "latin-1" if download.url.endswith("-8.txt") else config.corpus_encoding
    return _clean(data, config, name=download.url, encoding=encoding)


def _clean(data: bytes, config: PipelineConfiguration, *, name: str, encoding: str) -> CleanText:
    try:
        return clean_file(data, name=name, encoding=encoding)
    except UndecodableError as error:
        error.next_command = to_command(config, corpus_encoding=error.guess)
        raise


def _prepare_book(book: Book, clean: CleanText, download: Download) -> PreparedDocument:
    document = _prepare(clean, title=book.title, origin=_trace(download, book_id=book.book_id))
    document.title, document.author, document.language = book.title, book.author, book.language
    document.expected_sha256 = book.body_sha256
    return document


def _trace(download: Download, *, book_id: int | None = None) -> Provenance:
    return Provenance(
        source=download.url,
        book_id=book_id,
        mirror=download.mirror,
        attempts=download.attempts,
        file_sha256=download.sha256,
    )


def _prepare(clean: CleanText, *, title: str, origin: Provenance) -> PreparedDocument:
    return PreparedDocument(
        title=clean.title or title,
        text=clean.text,
        provenance=origin.model_copy(update={"encoding": clean.encoding, "markers": clean.markers}),
        author=clean.author,
        removed=clean.removed,
        warnings=list(clean.warnings),
        remarks=[]
        if clean.markers != "none" or clean.warnings
        else ["no Project Gutenberg markers: kept whole"],
    )


def _read_local(
    config: PipelineConfiguration, source: CorpusSource, *, progress: Progress
) -> Iterator[PreparedDocument]:
    num_unmarked = 0
    for path in list_text_files(source):
        data = read_text_file(path)
        if source.kind == "folder" and not data.strip():
            progress(Warned(f"{path} is empty: left out", topic="invalid_corpus"))
            continue
        clean = _clean(data, config, name=str(path), encoding=config.corpus_encoding)
        num_unmarked += clean.markers == "none"
        origin = Provenance(source=str(path), file_sha256=hashlib.sha256(data).hexdigest())
        yield _prepare(clean, title=path.stem, origin=origin)
    if num_unmarked:
        what = "The text carries" if source.kind == "file" else f"{num_unmarked} of the texts carry"
        progress(Note(f"{what} no Project Gutenberg markers: kept whole."))
