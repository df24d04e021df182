"""One file over HTTP: limited in time, size, rate and redirects; complete or refused.

A server may stall, send a byte now and then, lie about lengths, redirect into a private network, send a compression
bomb, or send an error page instead of a book. Each request ends with the whole file or with a ``FetchFailure`` that
says what to do next.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from semilla.corpus.cleaning.gutenberg import has_end_marker, names_gutenberg
from semilla.corpus.fetching.addresses import escape_unprintable, find_host, resolve_redirect
from semilla.corpus.fetching.pace import Pace
from semilla.corpus.fetching.partial import PartialFile
from semilla.corpus.fetching.policy import FetchFailure, FetchPolicy
from semilla.corpus.fetching.transport import list_headers, open_response
from semilla.corpus.fetching.watchdog import Watchdog
from semilla.corpus.formats.detect import looks_like_html
from semilla.events import Progress, Transferred, Warned, silent
from semilla.system import interrupts

_CHUNK_BYTES = 1 << 16
_REPORT_BYTES = 1 << 18
_SLICE_S = 0.25
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass
class Fetcher:
    """Fetches files one after another, with a polite pause between requests to the same host.

    ``typed_hosts`` are the hosts the user named. A redirect may lead there even when they are private. Without
    ``accepts_pages``, a web page is what a server sends in place of a missing book. ``token`` goes to the server that
    is asked, and never to another one that it redirects to.
    """

    policy: FetchPolicy = field(default_factory=FetchPolicy)
    typed_hosts: frozenset[str] = frozenset()
    progress: Progress = silent
    pace: Pace = field(default_factory=Pace)
    accepts_pages: bool = False
    token: str = field(default="", repr=False)

    def fetch(self, url: str, part: PartialFile, *, name: str) -> str:
        """Complete ``part`` with what ``url`` serves, and return the address that finally sent it.

        Raises FetchFailure, or InterruptedRunError after a signal.
        """
        address, began_in_public = url, False
        with Watchdog(deadline_s=self.policy.deadline_s) as watchdog:
            for hop in range(self.policy.max_redirects + 1):
                host, origin = find_host(address), urlsplit(address)[:2]
                authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
                with (
                    self._take_turn(host),
                    open_response(
                        address,
                        headers={
                            **list_headers(address, with_credentials=hop == 0),
                            **(authorization if origin == urlsplit(url)[:2] else {}),
                            **part.range_headers,
                        },
                        policy=self.policy,
                        watchdog=watchdog,
                        allow_private=not began_in_public or host in self.typed_hosts,
                    ) as (response, is_public),
                ):
                    location = response.headers.get("Location")
                    if response.status not in _REDIRECTS or location is None:
                        self._check_headers(response, part)
                        self._receive(response, part, watchdog, name=name)
                        return address
                    began_in_public = began_in_public or is_public
                    address = _follow(address, location)
        raise FetchFailure(f"more than {self.policy.max_redirects} redirects", kind="stop")

    def pause(self, seconds: float) -> None:
        """Wait, in slices short enough for Ctrl-C to act at once."""
        while seconds > 0:
            interrupts.check()
            self.policy.sleep(min(seconds, _SLICE_S))
            seconds -= _SLICE_S
        interrupts.check()

    def _take_turn(self, host: str) -> AbstractContextManager[None]:
        policy = self.policy
        return self.pace.take_turn(host, pause_s=policy.pause_s, wait=self.pause, clock=policy.clock)

    def _check_headers(self, response: urllib3.BaseHTTPResponse, part: PartialFile) -> None:
        """Accept a plain 200 with a text, or the rest of ``part``; refuse any other answer."""
        if part.range_headers and response.status in {206, 416}:
            if response.status == 416 or not part.accepts(response.headers):
                part.forget()
                raise FetchFailure("sent a part of another file", kind="retry")
        else:
            self._refuse_status(response)
            part.begin(response.headers, total_bytes=_read_length(response))
        encoding = response.headers.get("Content-Encoding", "").strip()
        if encoding.lower() not in {"", "identity"}:
            shown = escape_unprintable(encoding)
            raise FetchFailure(f"sent a compressed file ({shown}) though asked not to", kind="stop")
        if not self.accepts_pages and "html" in response.headers.get("Content-Type", "").lower():
            raise FetchFailure("sent an HTML page instead of a text", kind="stop")
        self._refuse_size(part.total_bytes or 0)

    def _refuse_status(self, response: urllib3.BaseHTTPResponse) -> None:
        status = f"HTTP {response.status} {escape_unprintable(response.reason or '')}".strip()
        if response.status in {404, 410}:
            raise FetchFailure(status, kind="gone", status=response.status)
        wait_s = _read_retry_after(response)
        if wait_s > self.policy.max_retry_after_s:
            raise FetchFailure(f"{status}, and asks to wait {wait_s:,.0f} s", kind="stop")
        if response.status == 408 or response.status >= 500 or wait_s:
            raise FetchFailure(status, kind="retry", retry_after_s=wait_s)
        if response.status != 200:
            raise FetchFailure(status, kind="stop", status=response.status)

    def _receive(
        self, response: urllib3.BaseHTTPResponse, part: PartialFile, watchdog: Watchdog, *, name: str
    ) -> None:
        """Add the body to ``part`` until the file is whole."""
        reported_bytes = part.size_bytes
        rate = _RateGauge(self.policy)
        # read1 returns what has arrived. read would wait for a full chunk from a server that sends single bytes.
        while chunk := response.read1(_CHUNK_BYTES, decode_content=False):
            interrupts.check()
            self._refuse_size(part.size_bytes + len(chunk))
            part.add(chunk)
            rate.add(len(chunk))
            if part.size_bytes - reported_bytes >= _REPORT_BYTES:
                reported_bytes = part.size_bytes
                self.progress(Transferred(name, part.size_bytes, part.total_bytes))
        watchdog.check()  # a connection that it cut looks like the end of a body of unknown length
        _check_body(part, accepts_pages=self.accepts_pages)
        if not (part.shows_its_end or has_end_marker(part.tail.decode("latin-1"))):
            self._judge_open_end(part, name=name)
        self.progress(Transferred(name, part.size_bytes, part.total_bytes))

    def _judge_open_end(self, part: PartialFile, *, name: str) -> None:
        """Refuse a book that may have been cut. The end of any other text cannot be known, so that is only said."""
        if names_gutenberg(part.head.decode("latin-1")):
            raise FetchFailure("sent a book without its length and without its end marker", kind="retry")
        told = f"the server did not say how long {name} is, so a cut would not be noticed: look at its end"
        self.progress(Warned(told, "network"))

    def _refuse_size(self, size_bytes: int) -> None:
        if size_bytes > self.policy.max_bytes:
            limit_mb = self.policy.max_bytes / (1 << 20)
            raise FetchFailure(f"the file is larger than {limit_mb:g} MB", kind="stop")


class _RateGauge:
    """Raises FetchFailure when fewer bytes arrive in a window of time than the policy asks for."""

    def __init__(self, policy: FetchPolicy) -> None:
        self.policy = policy
        self.start_s, self.num_bytes = policy.clock(), 0

    def add(self, num_bytes: int) -> None:
        self.num_bytes += num_bytes
        elapsed_s = self.policy.clock() - self.start_s
        if elapsed_s < self.policy.rate_window_s:
            return
        if self.num_bytes < self.policy.min_bytes_per_s * elapsed_s:
            raise FetchFailure(f"too slow: {self.num_bytes / elapsed_s:.0f} bytes a second", kind="retry")
        self.start_s, self.num_bytes = self.policy.clock(), 0


def _read_length(response: urllib3.BaseHTTPResponse) -> int | None:
    length = response.headers.get("Content-Length", "").strip()
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


def _read_retry_after(response: urllib3.BaseHTTPResponse) -> float:
    """Seconds the server asks to wait, 0 when it does not say (RFC 9110, section 10.2.3)."""
    if response.status not in Retry.RETRY_AFTER_STATUS_CODES:
        return 0.0
    try:
        return Retry().get_retry_after(response) or 0.0
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


def _check_body(part: PartialFile, *, accepts_pages: bool) -> None:
    if part.total_bytes not in {None, part.size_bytes}:
        part.forget()
        raise FetchFailure("sent another length than it announced", kind="retry")
    if not part.head.strip():
        raise FetchFailure("sent an empty file", kind="empty")
    if not accepts_pages and looks_like_html(part.head):
        raise FetchFailure("sent an HTML page instead of a text", kind="stop")


def _follow(address: str, location: str) -> str:
    try:
        return resolve_redirect(address, location)
    except ValueError as error:
        raise FetchFailure(f"a redirect is refused: {error}", kind="stop") from error
