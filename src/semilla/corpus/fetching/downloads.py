"""Downloads a book or a page from the first server that has it, and keeps it in ``downloads/`` for later runs.

A record is written before the file gets its name. A file without a record is not ours and is left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.request import getproxies

from semilla.corpus.catalogue import Book
from semilla.corpus.fetching.addresses import find_host
from semilla.corpus.fetching.fetcher import Fetcher
from semilla.corpus.fetching.partial import PartialFile
from semilla.corpus.fetching.policy import FetchFailure
from semilla.errors import InvalidConfigError, InvalidCorpusError, NetworkError, SemillaError
from semilla.escape import redact_credentials
from semilla.events import ArtifactWritten, Note
from semilla.records import names
from semilla.records.files import (
    collect_garbage,
    hash_file,
    make_directory,
    open_atomic,
    read_json,
    write_json,
)

_OFFLINE_COMMAND = "semilla run --corpus-source sample"


@dataclass(frozen=True)
class Download:
    """A verified file on disk. ``url`` and ``mirror`` contain no credentials; ``attempts`` counts requests."""

    file_name: str
    url: str
    mirror: str
    attempts: int
    size_bytes: int
    sha256: str


@dataclass
class _Attempts:
    """The requests made for one file so far, and why each server failed."""

    label: str
    num_requests: int = 0
    reasons: list[str] = field(default_factory=list)
    num_empty: int = 0


class Downloader:
    """Downloads the files of one run. A server that refused, or failed every retry, is not asked again."""

    def __init__(self, output_directory: Path, fetcher: Fetcher) -> None:
        self.directory = output_directory / names.DOWNLOADS
        self.fetcher = fetcher
        self._given_up: dict[str, str] = {}

    def download_book(self, book: Book, *, mirrors: Sequence[str]) -> Download:
        """Download a Gutenberg book from the first mirror that has it, or reuse an earlier download.

        Raises NetworkError when no mirror delivers it, InvalidCorpusError when every mirror's file is empty.
        """
        urls = {mirror: [f"{mirror.rstrip('/')}/{path}" for path in book.list_paths()] for mirror in mirrors}
        return self._download(book.file_name, urls, label=f"book {book.book_id} ({book.title})")

    def download_page(self, url: str) -> Download:
        """Download the text file at ``url``, or reuse an earlier download; raises like ``download_book``."""
        # The file's name never comes from the server or its address.
        return self._download(f"page-{_digest(url)}.txt", {url: [url]}, label=redact_credentials(url))

    def download_address(self, url: str, *, server: str, shown: str, sha256: str | None = None) -> Download:
        """Download the file at ``url``, or reuse an earlier download; ``shown`` names it in the progress.

        Raises FetchFailure, also for a file whose SHA-256 is not the one given.
        """
        file_name = f"file-{_digest(url)}"
        self._prepare()
        known = self._find_reusable(file_name, mirrors=[server])
        return known or self._try_address(
            file_name, server, url, _Attempts(shown), sha256=sha256, shown=shown
        )

    def _prepare(self) -> None:
        make_directory(self.directory)
        collect_garbage(self.directory)

    def _download(self, file_name: str, urls: Mapping[str, Sequence[str]], *, label: str) -> Download:
        """Download from the first server that has the file; ``urls`` lists the addresses to try on each."""
        self._prepare()
        known = self._find_reusable(file_name, mirrors=urls)
        if known:
            self.fetcher.progress(
                Note(
                    f"{names.DOWNLOADS}/{file_name} was already downloaded from {known.mirror} and is reused"
                )
            )
            return known
        attempts = _Attempts(label)
        for mirror in urls:
            download = self._try_server(file_name, mirror, urls[mirror], attempts)
            if download:
                return download
        raise _describe_failed_download(attempts)

    def _try_server(
        self, file_name: str, mirror: str, urls: Sequence[str], attempts: _Attempts
    ) -> Download | None:
        """Ask one server, at its next address when it has nothing at the last one."""
        host = find_host(mirror)
        if mirror in self._given_up:
            attempts.reasons.append(f"{host}: not asked again ({self._given_up[mirror]})")
            return None
        before, failure = attempts.num_requests, None
        for url in urls:
            try:
                return self._try_address(file_name, mirror, url, attempts)
            except FetchFailure as error:
                failure = error
            if failure.kind != "gone":
                break
        assert failure is not None
        if failure.kind in {"retry", "stop"}:
            self._given_up[mirror] = failure.reason
        attempts.num_empty += failure.kind == "empty"
        count = attempts.num_requests - before
        attempts.reasons.append(
            f"{host}: {failure.reason} ({count} {'attempt' if count == 1 else 'attempts'})"
        )
        return None

    def _try_address(
        self,
        file_name: str,
        mirror: str,
        url: str,
        attempts: _Attempts,
        *,
        sha256: str | None = None,
        shown: str | None = None,
    ) -> Download:
        """Fetch from one address, with the retries of the policy, and write the record."""
        path, record_path = self.directory / file_name, self._locate_record(file_name)
        with open_atomic(path) as file:
            part = PartialFile(file)
            final_url = self._fetch_with_retries(url, part, attempts, name=shown or file_name)
            if sha256 not in {None, part.digest.hexdigest()}:
                raise FetchFailure("sent a file with another SHA-256 than was announced", kind="stop")
            download = Download(
                file_name=file_name,
                # The query of an address that was redirected to is often a signature.
                url=redact_credentials(final_url if final_url == url else final_url.partition("?")[0]),
                mirror=redact_credentials(mirror),
                attempts=attempts.num_requests,
                size_bytes=part.size_bytes,
                sha256=part.digest.hexdigest(),
            )
            write_json(record_path, asdict(download))
            self.fetcher.progress(ArtifactWritten(record_path))
        self.fetcher.progress(ArtifactWritten(path))
        return download

    def _fetch_with_retries(self, url: str, part: PartialFile, attempts: _Attempts, *, name: str) -> str:
        """Retry while it may help and there is time. The bytes that have arrived are kept."""
        policy = self.fetcher.policy
        end_s = policy.clock() + policy.deadline_s
        for wait_s in (*policy.backoff_s, None):
            attempts.num_requests += 1
            try:
                return self.fetcher.fetch(url, part, name=name)
            except FetchFailure as failure:
                if failure.kind != "retry" or wait_s is None or policy.clock() >= end_s:
                    raise
                pause_s = max(wait_s, failure.retry_after_s)
            self.fetcher.pause(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _find_reusable(self, file_name: str, *, mirrors: Iterable[str]) -> Download | None:
        """Find an earlier download that is intact and came from one of these servers."""
        path, record_path = self.directory / file_name, self._locate_record(file_name)
        if not record_path.is_file():
            if path.exists():
                raise InvalidConfigError(
                    f"{path} was not downloaded by Semilla: move it away, or choose another --output-dir",
                    kept=f"{path}, unchanged",
                )
            return None
        try:
            download = Download(**read_json(record_path))
        except (SemillaError, TypeError):
            return None
        is_from_here = download.mirror in map(redact_credentials, mirrors)
        is_intact = (
            path.is_file()
            and path.stat().st_size == download.size_bytes
            and hash_file(path) == download.sha256
        )
        return download if is_from_here and is_intact else None

    def _locate_record(self, file_name: str) -> Path:
        return self.directory / f"{file_name}.json"


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8")).hexdigest()[:16]


def _describe_failed_download(attempts: _Attempts) -> SemillaError:
    message = f"could not download {attempts.label}: {'; '.join(attempts.reasons)}"
    if attempts.num_empty == len(attempts.reasons):
        return InvalidCorpusError(message, next_command=_OFFLINE_COMMAND)
    return describe_failure(message)


def describe_failure(message: str) -> NetworkError:
    """The error of a failed download, with the proxy if there is one, and what needs no network."""
    proxies = sorted({redact_credentials(proxy) for kind, proxy in getproxies().items() if kind != "no"})
    if proxies:
        message += f"; the environment sets a proxy ({', '.join(proxies)})"
    return NetworkError(
        f"{message}; without a network use --corpus-source sample, or --corpus-source FILE",
        next_command=_OFFLINE_COMMAND,
    )
