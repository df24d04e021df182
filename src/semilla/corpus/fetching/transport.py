"""One HTTP exchange: connections that can be cut off from outside, proxies, errors in plain words."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Timeout, make_headers

from semilla import __version__
from semilla.corpus.fetching.addresses import (
    escape_unprintable,
    find_host,
    find_proxy,
    is_local_host,
    is_public_address,
)
from semilla.corpus.fetching.pace import PAUSE_S
from semilla.system import interrupts

USER_AGENT = f"semilla/{__version__} (trains small language models; fetches a few books, one at a time)"

_POLL_S = 0.1


@dataclass(frozen=True)
class FetchPolicy:
    """How patient a download is. Times in seconds; ``backoff_s`` holds one wait per retry."""

    connect_timeout_s: float = 10.0
    read_timeout_s: float = 20.0
    """Longest silence of a connected server."""
    head_timeout_s: float = 30.0
    """Longest time until an answer's head is whole, however many lines of it come."""
    deadline_s: float = 600.0
    """Longest time for one request with its redirects, however busy; no retry begins when it has passed."""
    min_bytes_per_s: float = 1024.0
    rate_window_s: float = 15.0
    """The rate is judged over windows of this length."""
    max_bytes: int = 64 << 20
    backoff_s: tuple[float, ...] = (1.0, 2.0, 4.0)
    pause_s: float = PAUSE_S
    max_redirects: int = 5
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    is_public: Callable[[str], bool] = is_public_address


class FetchFailure(Exception):  # noqa: N818 - a failed attempt, which a retry may mend; errors come after the last one
    """Why one request brought nothing.

    ``kind``: retry (ask again later), gone (this address holds nothing, another may), stop (leave this server
    alone) or empty (an empty file).
    """

    def __init__(self, reason: str, *, kind: Literal["retry", "gone", "stop", "empty"]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


class Watchdog:
    """Cuts a connection off when the deadline passes or a signal asks the run to stop.

    Socket timeouts bound one silence, not a server that sends a header line a second for ever; and a blocked
    read would keep Ctrl-C waiting until they expire.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.expired_s: float | None = None
        """The limit that was passed, in seconds; None while there is time left."""
        self._end_s = time.monotonic() + deadline_s
        self._stage: tuple[float, float] | None = None
        self._sockets: list[socket.socket] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="semilla-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def guard(self, connection: socket.socket) -> None:
        self._sockets.append(connection)
        if self.expired_s is not None:
            self._cut()

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Allow what happens inside no more than ``seconds``, and no more than the deadline leaves."""
        self._stage = time.monotonic() + seconds, seconds
        try:
            yield
        finally:
            self._stage = None

    def _watch(self) -> None:
        while not self._done.wait(_POLL_S):
            self.expired_s = self._find_passed_limit()
            if self.expired_s is not None or interrupts.requested():
                self._cut()
                return

    def _find_passed_limit(self) -> float | None:
        limits = [one for one in (self._stage, (self._end_s, self.deadline_s)) if one]
        return next((limit_s for end_s, limit_s in limits if time.monotonic() >= end_s), None)

    def _cut(self) -> None:
        for connection in self._sockets:
            with suppress(OSError):
                # Not SSLSocket.shutdown, which takes the TLS layer away under the reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


@contextmanager
def open_response(
    url: str,
    *,
    policy: FetchPolicy,
    watchdog: Watchdog,
    allow_private: bool,
    with_credentials: bool,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[urllib3.BaseHTTPResponse, bool]]:
    """Send one GET request; give the response, its body unread, and whether a public host answered.

    ``headers`` are sent beside the usual ones.

    What goes wrong on the network inside the block comes out as FetchFailure, or as InterruptedRunError
    when a signal caused it.
    """
    peers: list[str] = []

    def on_connect(connection: socket.socket) -> None:
        watchdog.guard(connection)
        peers.append(connection.getpeername()[0])
        if not allow_private and proxy is None and not policy.is_public(peers[-1]):
            raise FetchFailure("a redirect leads into a private network", kind="stop")

    proxy = find_proxy(url)
    if proxy and not allow_private and is_local_host(find_host(url)):
        raise FetchFailure("a redirect leads into a private network", kind="stop")
    with _open_manager(proxy, on_connect) as manager:
        try:
            with watchdog.limit(policy.head_timeout_s):
                response = manager.request(
                    "GET",
                    _strip_credentials(url),
                    headers={**_list_headers(url, with_credentials=with_credentials), **headers},
                    timeout=Timeout(connect=policy.connect_timeout_s, read=policy.read_timeout_s),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            interrupts.check()
            raise describe_failure(error, policy=policy, expired_s=watchdog.expired_s) from error
        try:
            yield response, not is_local_host(find_host(url)) if proxy else policy.is_public(peers[-1])
        except (HTTPError, http.client.HTTPException) as error:
            interrupts.check()
            raise describe_failure(error, policy=policy, expired_s=watchdog.expired_s) from error
        finally:
            response.close()


def describe_failure(
    error: Exception, *, policy: FetchPolicy, expired_s: float | None = None
) -> FetchFailure:
    """Say in plain words what a transport error was, and whether asking again may help."""
    if expired_s is not None:
        return FetchFailure(f"not done within {expired_s:g} s", kind="retry")
    if isinstance(error, ProxyError):
        inner = describe_failure(error.original_error, policy=policy)
        return FetchFailure(f"the proxy does not work: {inner.reason}", kind="retry")
    if isinstance(error, SSLError):
        is_certificate = isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE" in str(
            error
        )
        what = "its TLS certificate is not valid" if is_certificate else "the encrypted connection failed"
        return FetchFailure(
            f"{what} ({escape_unprintable(str(error))})", kind="stop" if is_certificate else "retry"
        )
    return FetchFailure(_name_reason(error, policy), kind="retry")


def _name_reason(error: BaseException, policy: FetchPolicy) -> str:
    if isinstance(error, NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"no connection within {policy.connect_timeout_s:g} s"
    if isinstance(error, ReadTimeoutError):
        return f"silent for {policy.read_timeout_s:g} s"
    cause = error.__cause__ or error
    if isinstance(cause, http.client.IncompleteRead):
        return _name_missing_part(cause)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return escape_unprintable(str(cause)) or type(cause).__name__


def _name_missing_part(error: http.client.IncompleteRead) -> str:
    received = error.partial if isinstance(error.partial, int) else len(error.partial)
    if error.expected is None:
        return "the connection broke in the middle of the file"
    return f"the connection broke after {received:,} of {received + error.expected:,} bytes"


def _open_manager(proxy: str | None, on_connect: Callable[[socket.socket], None]) -> urllib3.PoolManager:
    class GuardedConnection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            on_connect(self.sock)

    class GuardedSecureConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            on_connect(self.sock)

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = GuardedConnection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = GuardedSecureConnection

    manager: urllib3.PoolManager
    if proxy:
        user = urlsplit(proxy).netloc.rpartition("@")[0]
        headers = make_headers(proxy_basic_auth=unquote(user)) if user else {}
        manager = urllib3.ProxyManager(_strip_credentials(proxy), proxy_headers=headers)
    else:
        manager = urllib3.PoolManager()
    manager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}
    return manager


def _list_headers(url: str, *, with_credentials: bool) -> dict[str, Any]:
    headers = {"User-Agent": USER_AGENT, "Accept": "text/plain, */*;q=0.1", "Accept-Encoding": "identity"}
    user = urlsplit(url).netloc.rpartition("@")[0]
    if user and with_credentials:
        headers |= make_headers(basic_auth=unquote(user))
    return {**headers, "Connection": "close"}


def _strip_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
