"""One HTTP request with urllib3: guarded connections, proxies, and network errors in plain words."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

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
    strip_credentials,
)
from semilla.corpus.fetching.policy import FetchFailure, FetchPolicy
from semilla.corpus.fetching.watchdog import Watchdog

USER_AGENT = f"semilla/{__version__} (trains small language models; fetches a few books, one at a time)"


def list_headers(url: str, *, with_credentials: bool) -> dict[str, Any]:
    """Headers of every request; user name and password of the URL only where they are meant for this host."""
    headers = {"User-Agent": USER_AGENT, "Accept": "text/plain, */*;q=0.1", "Accept-Encoding": "identity"}
    user = urlsplit(url).netloc.rpartition("@")[0]
    if user and with_credentials:
        headers |= make_headers(basic_auth=unquote(user))
    return {**headers, "Connection": "close"}


@contextmanager
def open_response(
    url: str,
    *,
    headers: Mapping[str, str],
    policy: FetchPolicy,
    watchdog: Watchdog,
    allow_private: bool,
    method: str = "GET",
) -> Iterator[tuple[urllib3.BaseHTTPResponse, bool]]:
    """Send one request; give the response, its body unread, and whether a public host sent it.

    Network errors, also those inside the block, become FetchFailure, or InterruptedRunError after a signal.
    """
    proxy = find_proxy(url)
    is_public = not is_local_host(find_host(url))

    def admit(connection: socket.socket) -> None:
        nonlocal is_public
        watchdog.guard(connection)
        if proxy is None:
            is_public = policy.is_public(connection.getpeername()[0])
            _refuse_private(is_allowed=is_public or allow_private)

    if proxy:  # it hides the server's address, so only the name can tell
        _refuse_private(is_allowed=is_public or allow_private)
    with _open_manager(proxy, admit) as manager:
        with (
            watchdog.limit(policy.head_timeout_s),
            _translated(policy, watchdog, HTTPError, http.client.HTTPException, OSError, ValueError),
        ):
            response = _send(manager, method, strip_credentials(url), headers=headers, policy=policy)
        with closing(response), _translated(policy, watchdog, HTTPError, http.client.HTTPException):
            yield response, is_public


def _send(
    manager: urllib3.PoolManager, method: str, url: str, *, headers: Mapping[str, str], policy: FetchPolicy
) -> urllib3.BaseHTTPResponse:
    # urllib3's Retry is not used: its waits ignore signals, and it neither retries nor resumes a body that was cut.
    return manager.request(
        method,
        url,
        headers=headers,
        timeout=Timeout(connect=policy.connect_timeout_s, read=policy.read_timeout_s),
        retries=False,
        redirect=False,  # each redirect is checked before it is followed
        preload_content=False,
        decode_content=False,
    )


def _refuse_private(*, is_allowed: bool) -> None:
    if not is_allowed:
        raise FetchFailure("a redirect leads into a private network", kind="stop")


def _open_manager(proxy: str | None, on_connect: Callable[[socket.socket], None]) -> urllib3.PoolManager:
    """Open a pool manager that calls ``on_connect`` with each new connection before anything is sent."""

    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            on_connect(self.sock)

    class SecureConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            on_connect(self.sock)

    class Pool(urllib3.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    manager = urllib3.PoolManager()
    if proxy:
        user = urlsplit(proxy).netloc.rpartition("@")[0]
        proxy_headers = make_headers(proxy_basic_auth=unquote(user)) if user else {}
        manager = urllib3.ProxyManager(strip_credentials(proxy), proxy_headers=proxy_headers)
    manager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}
    return manager


@contextmanager
def _translated(policy: FetchPolicy, watchdog: Watchdog, *kinds: type[Exception]) -> Iterator[None]:
    """Raise FetchFailure in place of these network errors, or InterruptedRunError after a signal."""
    try:
        yield
    except kinds as error:
        watchdog.check()
        raise _describe_failure(error, policy) from error


def _describe_failure(error: Exception, policy: FetchPolicy) -> FetchFailure:
    """Describe a network error in plain words, and say whether a retry may help."""
    if isinstance(error, ProxyError):
        inner = _describe_failure(error.original_error, policy)
        return FetchFailure(f"the proxy does not work: {inner.reason}", kind="retry")
    if isinstance(error, SSLError):
        shown = escape_unprintable(str(error))
        if isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE" in str(error):
            return FetchFailure(f"its TLS certificate is not valid ({shown})", kind="stop")
        return FetchFailure(f"the encrypted connection failed ({shown})", kind="retry")
    return FetchFailure(_describe_reason(error, policy), kind="retry")


def _describe_reason(error: BaseException, policy: FetchPolicy) -> str:
    if isinstance(error, NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"no connection within {policy.connect_timeout_s:g} s"
    if isinstance(error, ReadTimeoutError):
        return f"silent for {policy.read_timeout_s:g} s"
    cause = error.__cause__ or error
    if isinstance(cause, http.client.IncompleteRead):
        return _describe_cut(cause)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return escape_unprintable(str(cause)) or type(cause).__name__


def _describe_cut(error: http.client.IncompleteRead) -> str:
    if error.expected is None:
        return "the connection broke in the middle of the file"
    received = error.partial if isinstance(error.partial, int) else len(error.partial)
    return f"the connection broke after {received:,} of {received + error.expected:,} bytes"
