"""Fetches a data set from the Hugging Face Hub: one answer that lists its files, then those that a run reads.

The token comes from the environment and goes to the Hub alone; no message, log or record contains it. The list is kept
in ``downloads/`` with the files, so a later run in the same directory reads the same commit.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from semilla.corpus.data_set import MAX_BYTES, DataFile, DataSetAddress, Listing, read_listing
from semilla.corpus.fetching.addresses import find_host
from semilla.corpus.fetching.downloads import Download, Downloader, describe_failure
from semilla.corpus.fetching.fetcher import Fetcher
from semilla.corpus.fetching.pace import PACE
from semilla.corpus.fetching.policy import FetchFailure, FetchPolicy
from semilla.errors import InvalidCorpusError, SemillaError
from semilla.events import Progress

TOKEN, ENDPOINT = "HF_TOKEN", "HF_ENDPOINT"
_HUB = "https://huggingface.co"
_REFUSED, _UNKNOWN = {401, 403}, {404, 410}


def find_endpoint() -> str:
    """The address of the Hub, or that of another server with its API, as the environment says."""
    return (os.environ.get(ENDPOINT) or _HUB).rstrip("/")


def locate_listing(address: DataSetAddress) -> str:
    """The address of the Hub's answer about one revision, with the sizes of its files."""
    revision = quote(address.revision, safe="")
    return f"{find_endpoint()}/api/datasets/{address.name}/revision/{revision}?blobs=true"


class DataSetFetcher:
    """Fetches the list and the files of one data set into ``downloads/`` of a run."""

    def __init__(
        self, output_directory: Path, address: DataSetAddress, *, policy: FetchPolicy, progress: Progress
    ) -> None:
        self.address = address
        self._endpoint = find_endpoint()
        fetcher = Fetcher(
            replace(policy, max_bytes=MAX_BYTES, pause_s=0.0),
            typed_hosts=frozenset([find_host(self._endpoint)]),
            progress=progress,
            pace=PACE,
            accepts_pages=True,
            token=os.environ.get(TOKEN, "").strip(),
        )
        self._downloader = Downloader(output_directory, fetcher)

    def fetch_listing(self) -> Listing:
        """Fetch the list of files. Raises InvalidCorpusError where there is none, else NetworkError."""
        download = self._fetch(locate_listing(self.address), shown=str(self.address))
        return read_listing(self.locate(download).read_bytes(), self.address)

    def fetch_file(self, file: DataFile, *, commit: str) -> Download:
        """Fetch one file as it was at ``commit``; raises like ``fetch_listing``."""
        url = f"{self._endpoint}/datasets/{self.address.name}/resolve/{commit}/{quote(file.path)}"
        return self._fetch(url, shown=file.path, sha256=file.lfs.sha256 if file.lfs else None)

    def locate(self, download: Download) -> Path:
        """Where a downloaded file lies."""
        return self._downloader.directory / download.file_name

    def _fetch(self, url: str, *, shown: str, sha256: str | None = None) -> Download:
        try:
            return self._downloader.download_address(url, server=self._endpoint, shown=shown, sha256=sha256)
        except FetchFailure as failure:
            raise self._explain(failure, shown) from failure

    def _explain(self, failure: FetchFailure, shown: str) -> SemillaError:
        """Turn a refused or failed request into an error that says what to do."""
        name, host = self.address.name, find_host(self._endpoint)
        if failure.status in _REFUSED:
            return InvalidCorpusError(
                f"{host} refuses {shown} ({failure.reason}): there is no such data set, or it is private or gated. For "
                f"the latter, accept its conditions at {_HUB}/datasets/{name} and put a token with read access into "
                f"{TOKEN}",
                next_command=f"read -rs {TOKEN} && export {TOKEN}",
            )
        if failure.status in _UNKNOWN:
            return InvalidCorpusError(
                f"{host} has no {shown} ({failure.reason}): look for its name and revision at {_HUB}/datasets",
                next_command="semilla run --corpus-source sample",
            )
        return describe_failure(f"could not download {shown}: {host}: {failure.reason}")
