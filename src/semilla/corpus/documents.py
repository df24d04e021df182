"""From ``corpus_source`` to clean documents, one at a time: generated, downloaded, or read from disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import CATALOGUE, MIRRORS, Book
from semilla.corpus.cleaning.clean import clean_file
from semilla.corpus.data_set import DataSetAddress, choose_files, read_address, show_mb
from semilla.corpus.duplicates import Duplicates, Prepared
from semilla.corpus.fetching.addresses import find_host
from semilla.corpus.fetching.downloads import Download, Downloader
from semilla.corpus.fetching.fetcher import Fetcher
from semilla.corpus.fetching.hub import DataSetFetcher
from semilla.corpus.fetching.pace import PACE
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.corpus.formats.known import may_be_page
from semilla.corpus.formats.plain_text import UndecodableError
from semilla.corpus.formats.reading import require_readers
from semilla.corpus.manifest import MissingDocument, Provenance
from semilla.corpus.own_files import read_download, read_fetched, read_local
from semilla.corpus.prepared import PreparedDocument, advise_encoding, describe, describe_download
from semilla.corpus.remarks import Remarks
from semilla.corpus.sources import CorpusSource, describe_left_out, read_text_file, resolve_sources
from semilla.errors import InvalidConfigError, InvalidCorpusError, NetworkError
from semilla.events import Note, Progress
from semilla.stories import generate_corpus

_MB = 1 << 20


def prepare_documents(
    config: PipelineConfiguration, *, progress: Progress, policy: FetchPolicy | None = None
) -> Iterator[Prepared]:
    """Generate, download or read the texts of ``corpus_source``, and clean them.

    Raises InvalidCorpusError for text that cannot be used, and NetworkError for a failed download unless
    ``allow_partial`` lets a book be missing.
    """
    duplicates = Duplicates(removes=config.dedupe)
    preparer = _Preparer(config, duplicates, progress, policy or FetchPolicy())
    for source in resolve_sources(config.corpus_source):
        found = preparer.prepare(source)
        for document in found if source.kind == "catalogue" else duplicates.filter(found):
            if isinstance(document, PreparedDocument):
                document.weight = source.weight
            yield document
    duplicates.tell(progress)


@dataclass
class _Preparer:
    """Prepares one source after another."""

    config: PipelineConfiguration
    duplicates: Duplicates
    progress: Progress
    policy: FetchPolicy

    def prepare(self, source: CorpusSource) -> Iterator[Prepared]:
        if path := source.hidden_path:
            self.progress(Note(f"using the catalogue's {path}; to use the file of that name, say ./{path}"))
        if source.is_local:
            yield from read_local(self.config, source, duplicates=self.duplicates, progress=self.progress)
        elif source.kind == "data set":
            yield from self._read_data_set(read_address(source.value))
        elif source.is_remote:
            yield from self._download(source)
        else:
            yield from _generate_sample(self.config)

    def _download(self, source: CorpusSource) -> Iterator[Prepared]:
        typed = (*self.config.corpus_mirrors, source.value if source.kind == "url" else "")
        if any("://***@" in address for address in typed):
            raise InvalidConfigError(
                "records do not store user names and passwords: give the full address again"
            )
        fetcher = Fetcher(
            self.policy,
            typed_hosts=frozenset(map(find_host, typed)),
            progress=self.progress,
            pace=PACE,
            accepts_pages=source.kind == "url" and may_be_page(urlsplit(source.value).path),
        )
        downloader = Downloader(Path(self.config.output_directory), fetcher)
        if source.kind == "url":
            download = downloader.download_page(source.value)
            yield from read_download(
                self.config,
                downloader.directory,
                download,
                source=source,
                duplicates=self.duplicates,
                progress=self.progress,
            )
            return
        remarks = Remarks()
        for book in CATALOGUE[source.value].books:
            try:
                download = downloader.download_book(book, mirrors=list_mirrors(self.config))
            except (NetworkError, InvalidCorpusError) as error:
                if not self.config.allow_partial:
                    raise
                yield MissingDocument(title=book.title, book_id=book.book_id, reason=error.message)
                continue
            yield _clean_book(self.config, downloader, download, book=book, remarks=remarks)
        remarks.tell(self.progress)

    def _read_data_set(self, address: DataSetAddress) -> Iterator[Prepared]:
        """Say what will be downloaded, then fetch and read one file after another."""
        fetcher = DataSetFetcher(
            Path(self.config.output_directory), address, policy=self.policy, progress=self.progress
        )
        listing = fetcher.fetch_listing()
        choice = choose_files(listing, address)
        require_readers(file.path for file in choice.files)
        left_out = f"; left out: {describe_left_out(choice.left_out)}" if choice.left_out else ""
        self.progress(
            Note(
                f"{address} is read at commit {listing.commit[:10]}: {len(choice.files):,} files, "
                f"{show_mb(choice.size_bytes)}, licence {listing.licence or 'not stated'}{left_out}."
            )
        )
        yield from choice.left_out

        def fetch() -> Iterator[tuple[str, Path, Provenance]]:
            for file in choice.files:
                download = fetcher.fetch_file(file, commit=listing.commit)
                origin = describe_download(download)
                source = str(replace(address, revision=listing.commit, inside=file.path))
                changes = {"source": source, "licence": listing.licence}
                yield address.locate(file.path), fetcher.locate(download), origin.model_copy(update=changes)

        yield from read_fetched(
            self.config,
            fetch(),
            size_bytes=choice.size_bytes,
            duplicates=self.duplicates,
            progress=self.progress,
        )


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


def _clean_book(
    config: PipelineConfiguration, downloader: Downloader, download: Download, *, book: Book, remarks: Remarks
) -> PreparedDocument:
    data = read_text_file(downloader.directory / download.file_name)
    # A mirror's older tree names its Latin-1 files -8.txt, whether or not their headers declare Latin-1.
    encoding = "latin-1" if download.url.endswith("-8.txt") else config.corpus_encoding
    try:
        clean = clean_file(data, name=download.url, encoding=encoding)
    except UndecodableError as error:
        raise advise_encoding(error, config) from error
    remarks.add(clean, name=book.title)
    document = describe(clean, title=book.title, origin=describe_download(download, book_id=book.book_id))
    document.title, document.author, document.language = book.title, book.author, book.language
    document.expected_sha256 = book.body_sha256
    return document
