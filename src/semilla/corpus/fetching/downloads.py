"""A book or page from the first server that has it, kept in ``downloads/`` with a record: fetched once.

The record is written before the file takes its name, so a file without a record is not ours and is left
alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.request import getproxies

from semilla.corpus.catalogue import Book
from semilla.corpus.fetching.addresses import find_host
from semilla.corpus.fetching.fetch import Fetched, Fetcher, FetchFailure
from semilla.corpus.fetching.partial import PartialFile
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

_WAY_OUT = "semilla run --corpus-source sample"


@dataclass(frozen=True)
class Download:
    """A verified file on disk. ``url`` and ``mirror`` carry no credentials; ``attempts`` counts requests."""

    file_name: str
    url: str
    mirror: str
    attempts: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Route:
    """A server and the addresses to try there, best first."""

    mirror: str
    urls: tuple[str, ...]


@dataclass
class _Effort:
    """What was tried for one file so far: requests, and why each server failed."""

    label: str
    attempts: int = 0
    reasons: list[str] = field(default_factory=list)
    num_empty: int = 0


class Downloader:
    """Obtains files for one run; a server that failed for good is not asked again."""

    def __init__(self, output_directory: Path, fetcher: Fetcher) -> None:
        self.directory = output_directory / names.DOWNLOADS
        self.fetcher = fetcher
        self._given_up: dict[str, str] = {}

    def obtain_book(self, book: Book, *, mirrors: Sequence[str]) -> Download:
        """Fetch a Gutenberg book from the first mirror that has it, or reuse it.

        Raises NetworkError when no mirror gives it, InvalidCorpusError when all it is is empty.
        """
        routes = [
            Route(mirror, tuple(f"{mirror.rstrip('/')}/{path}" for path in book.list_paths()))
            for mirror in mirrors
        ]
        return self._obtain(book.file_name, routes, label=f"book {book.book_id} ({book.title})")

    def obtain_page(self, url: str) -> Download:
        """Fetch the text file at ``url``, or reuse it; raises like ``obtain_book``."""
        # The file's name never comes from the server or its address.
        digest = hashlib.sha256(url.encode("utf-8")).hexdigest()[:16]
        return self._obtain(f"page-{digest}.txt", [Route(url, (url,))], label=redact_credentials(url))

    def _obtain(self, file_name: str, routes: list[Route], *, label: str) -> Download:
        make_directory(self.directory)
        collect_garbage(self.directory)
        known = self._find_reusable(file_name, routes)
        if known:
            self.fetcher.progress(
                Note(f"{names.DOWNLOADS}/{file_name} is here already, whole, from {known.mirror}")
            )
            return known
        effort = _Effort(label)
        for route in routes:
            download = self._try_route(file_name, route, effort)
            if download:
                return download
        raise _describe_defeat(effort)

    def _try_route(self, file_name: str, route: Route, effort: _Effort) -> Download | None:
        """Ask one server: at other addresses while it has nothing, not at all after it refused."""
        host = find_host(route.mirror)
        if route.mirror in self._given_up:
            effort.reasons.append(f"{host}: not asked again ({self._given_up[route.mirror]})")
            return None
        before, failure = effort.attempts, None
        for url in route.urls:
            try:
                return self._try_address(file_name, route, url, effort)
            except FetchFailure as error:
                failure = error
            if failure.kind != "gone":
                break
        assert failure is not None
        if failure.kind in {"retry", "stop"}:
            self._given_up[route.mirror] = failure.reason
        effort.num_empty += failure.kind == "empty"
        count = effort.attempts - before
        effort.reasons.append(f"{host}: {failure.reason} ({count} {'attempt' if count == 1 else 'attempts'})")
        return None

    def _try_address(self, file_name: str, route: Route, url: str, effort: _Effort) -> Download:
        """Fetch from one address, in as many requests as the policy allows, and write the record."""
        path, record_path = self.directory / file_name, self._locate_record(file_name)
        with open_atomic(path) as file:
            fetched = self._fetch_patiently(url, PartialFile(file), effort, name=file_name)
            download = Download(
                file_name=file_name,
                url=redact_credentials(fetched.url),
                mirror=redact_credentials(route.mirror),
                attempts=effort.attempts,
                size_bytes=fetched.size_bytes,
                sha256=fetched.sha256,
            )
            write_json(record_path, asdict(download))
            self.fetcher.progress(ArtifactWritten(record_path))
        self.fetcher.progress(ArtifactWritten(path))
        return download

    def _fetch_patiently(self, url: str, part: PartialFile, effort: _Effort, *, name: str) -> Fetched:
        """Ask again after each wait of the policy, while that may help and there is time; keep what has come."""
        policy = self.fetcher.policy
        end_s = policy.clock() + policy.deadline_s
        for wait_s in (*policy.backoff_s, None):
            effort.attempts += 1
            try:
                return self.fetcher.fetch(url, part, name=name)
            except FetchFailure as failure:
                if failure.kind != "retry" or wait_s is None or policy.clock() >= end_s:
                    raise
            self.fetcher.pause(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _find_reusable(self, file_name: str, routes: list[Route]) -> Download | None:
        """Find the file of an earlier attempt, when one of these servers gave it and it is what it was."""
        path, record_path = self.directory / file_name, self._locate_record(file_name)
        if not record_path.is_file():
            if path.exists():
                raise InvalidConfigError(f"{path} is not ours: move it away, or choose another --output-dir")
            return None
        try:
            download = Download(**read_json(record_path))
        except (SemillaError, TypeError):
            return None
        is_wanted = download.mirror in {redact_credentials(route.mirror) for route in routes}
        is_whole = (
            path.is_file()
            and path.stat().st_size == download.size_bytes
            and hash_file(path) == download.sha256
        )
        return download if is_wanted and is_whole else None

    def _locate_record(self, file_name: str) -> Path:
        return self.directory / f"{file_name}.json"


def _describe_defeat(effort: _Effort) -> SemillaError:
    message = f"could not download {effort.label}: {'; '.join(effort.reasons)}"
    if effort.num_empty == len(effort.reasons):
        return InvalidCorpusError(message, next_command=_WAY_OUT)
    proxies = sorted({redact_credentials(proxy) for kind, proxy in getproxies().items() if kind != "no"})
    if proxies:
        message += f"; the environment prescribes a proxy ({', '.join(proxies)})"
    return NetworkError(
        f"{message}; without a network use --corpus-source sample, or --corpus-source FILE",
        next_command=_WAY_OUT,
    )
