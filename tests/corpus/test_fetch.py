"""One request at a time: what a server may do wrong, and how the fetcher reacts."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from servers import (
    LoopbackServer,
    Reply,
    dribble,
    find_closed_port,
    redirect,
    send,
    send_endlessly,
    send_raw,
    stall,
)

from semilla import __version__
from semilla.corpus.fetching.addresses import resolve_redirect
from semilla.corpus.fetching.fetcher import Fetcher
from semilla.corpus.fetching.partial import PartialFile
from semilla.corpus.fetching.policy import FetchFailure, FetchPolicy
from semilla.errors import InterruptedRunError
from semilla.events import Event, Transferred, Warned
from semilla.system import interrupts

TEXT = "El niño preguntó: «¿Y la señora?» — “The cat is here!” 🌱\n".encode() * 40
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
QUICK: dict[str, Any] = {"connect_timeout_s": 2.0, "read_timeout_s": 0.3, "deadline_s": 5.0, "pause_s": 0.0}


class Buffer(io.BytesIO):
    """A file in memory that can be cleared."""

    def clear(self) -> None:
        self.seek(0)
        self.truncate()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetch(reply: Reply, **changes: Any) -> bytes:
    """Fetch one file from a server with one reply."""
    file = Buffer()
    with LoopbackServer({"/book": reply}) as server:
        Fetcher(FetchPolicy(**{**QUICK, **changes})).fetch(
            f"{server.url}/book", PartialFile(file), name="book"
        )
    return file.getvalue()


def fail(reply: Reply, **changes: Any) -> FetchFailure:
    with pytest.raises(FetchFailure) as caught:
        fetch(reply, **changes)
    return caught.value


def test_fetch_whole_file() -> None:
    """A file arrives byte for byte, and its size and hash are reported."""
    events: list[Event] = []
    file = Buffer()
    with LoopbackServer({"/book": send(TEXT)}) as server:
        fetcher = Fetcher(FetchPolicy(**QUICK), progress=events.append)
        part = PartialFile(file)
        fetcher.fetch(f"{server.url}/book", part, name="book")
    assert file.getvalue() == TEXT
    assert part.size_bytes == len(TEXT)
    assert events == [Transferred("book", len(TEXT), len(TEXT))]


def test_request_names_itself_and_asks_for_plain_bytes() -> None:
    """The request names the program and its version, and asks for no compression."""
    with LoopbackServer({"/book": send(TEXT)}) as server:
        Fetcher(FetchPolicy(**QUICK)).fetch(f"{server.url}/book", PartialFile(Buffer()), name="book")
        head = server.heads[0].decode()
    assert f"User-Agent: semilla/{__version__} " in head
    assert "Accept-Encoding: identity" in head


def test_chunked_body() -> None:
    """A chunked body is assembled; it ends with the zero chunk, not with the closed connection."""
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (TEXT[:700], TEXT[700:]))
    assert fetch(send_raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")) == TEXT


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (send(TEXT[:400], length=1000), "broke after 400 of 1,000 bytes"),
        (send_raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n400\r\n" + TEXT[:400]), "broke in the middle"),
        (send_raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"), "broke in the middle"),
        (send_raw(b""), "without response"),
        (send_raw(b"\x16\x03\x01 these are not the words of a web server\r\n\r\n"), ""),
        (send_raw(TEXT), ""),
        (send_raw(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n"), ""),
        (send_raw(b"HTTP/1.1 200 OK\r\n" + b"X-Many: x\r\n" * 10_000 + b"\r\n"), "100 headers"),
        (stall, "silent for 0.3 s"),
        (send(TEXT, status="503 Service Unavailable"), "HTTP 503 Service Unavailable"),
        (send(TEXT, status="500 Oh \x1b[31m no"), "HTTP 500 Oh \\x1b[31m no"),
    ],
    ids=[
        "short body",
        "cut chunk",
        "bad chunk size",
        "no answer",
        "garbage",
        "HTTP 0.9",
        "long header",
        "many headers",
        "silence",
        "503",
        "hostile reason",
    ],
)
def test_failures_that_are_retried(reply: Reply, words: str) -> None:
    """A failure that may be an accident of the network is retried."""
    failure = fail(reply)
    assert failure.kind == "retry"
    assert words in failure.reason
    assert failure.reason.isprintable()


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (send(TEXT, status="404 Not Found"), "gone", "HTTP 404"),
        (send(TEXT, status="410 Gone"), "gone", "HTTP 410"),
        (send(TEXT, status="403 Forbidden"), "stop", "HTTP 403"),
        (send(TEXT, status="429 Too Many Requests"), "stop", "HTTP 429"),
        (send(b"", status="304 Not Modified"), "stop", "HTTP 304"),
        (send(TEXT, status="206 Partial Content"), "stop", "HTTP 206"),
        (send(b""), "empty", "empty"),
        (send(b" \r\n"), "empty", "empty"),
        (send(TEXT, content_type="text/html; charset=utf-8"), "stop", "HTML page"),
        (send(b"\xef\xbb\xbf\n<!DOCTYPE html>\n<title>Captcha</title>"), "stop", "HTML page"),
        (send(b"<?xml version='1.0'?>\n<HTML lang=es><body>hola"), "stop", "HTML page"),
        (send(gzip.compress(TEXT), headers={"Content-Encoding": "gzip"}), "stop", "compressed"),
        (send(TEXT, headers={"Content-Encoding": "gzip, br"}), "stop", "compressed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "reply",
)
def test_failures_that_are_not_retried(reply: Reply, kind: str, words: str) -> None:
    """Refusals, pages instead of books, and compressed bodies are not retried."""
    failure = fail(reply)
    assert failure.kind == kind
    assert words in failure.reason


def test_dribbling_server() -> None:
    """A server that sends a byte now and then is too slow, and is given up long before the deadline."""
    began_s = time.monotonic()
    failure = fail(
        dribble(b"x", prefix=HEAD + b"Content-Length: 1000000\r\n\r\n"), rate_window_s=0.3, deadline_s=60.0
    )
    assert failure.kind == "retry"
    assert "too slow" in failure.reason
    assert time.monotonic() - began_s < 30


@pytest.mark.parametrize(
    "reply",
    [
        dribble(b"X-Header: x\r\n", prefix=b"HTTP/1.1 200 OK\r\n"),
        send_endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["headers without end", "100 Continue without end"],
)
def test_endless_headers_have_a_limit_of_their_own(reply: Reply) -> None:
    """Headers have a time limit of their own, far below that of a large file on a slow line (N3, N4, N29)."""
    failure = fail(reply, head_timeout_s=0.4, deadline_s=60.0, read_timeout_s=20.0)
    assert failure.kind == "retry"
    assert "not finished within 0.4 s" in failure.reason


@pytest.mark.parametrize(
    "reply",
    [
        dribble(b"X-Header: x\r\n", prefix=b"HTTP/1.1 200 OK\r\n"),
        send_endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        dribble(TEXT, prefix=HEAD + b"\r\n"),
    ],
    ids=["headers without end", "100 Continue without end", "body of unknown length"],
)
def test_deadline(reply: Reply) -> None:
    """The deadline ends an answer, whichever part of it is endless."""
    failure = fail(reply, deadline_s=0.5, read_timeout_s=20.0, rate_window_s=60.0)
    assert failure.kind == "retry"
    assert "not finished within 0.5 s" in failure.reason


@pytest.mark.parametrize(
    "reply",
    [send(TEXT, length=10_000_000), send_endlessly(HEAD + b"\r\n", b"palabra " * 1000)],
    ids=["announced", "unannounced"],
)
def test_size_cap(reply: Reply) -> None:
    """A body above the size limit is refused, announced or not, and no byte beyond the limit is kept."""
    file = Buffer()
    with (
        LoopbackServer({"/book": reply}) as server,
        pytest.raises(FetchFailure, match="larger than 1 MB") as caught,
    ):
        Fetcher(FetchPolicy(**QUICK, max_bytes=1 << 20)).fetch(
            f"{server.url}/book", PartialFile(file), name="book"
        )
    assert caught.value.kind == "stop"
    assert len(file.getvalue()) <= 1 << 20


def test_connection_refused() -> None:
    """The failure says that the connection was refused."""
    with pytest.raises(FetchFailure, match="connection refused") as caught:
        Fetcher(FetchPolicy(**QUICK)).fetch(
            f"http://127.0.0.1:{find_closed_port()}/", PartialFile(Buffer()), name="book"
        )
    assert caught.value.kind == "retry"


def test_unknown_host() -> None:
    """The failure says that the name cannot be resolved; a name in .invalid never can."""
    with pytest.raises(FetchFailure, match="cannot be resolved"):
        Fetcher(FetchPolicy(**QUICK)).fetch("http://semilla.invalid/book", PartialFile(Buffer()), name="book")


# ---- the rest of a file that was cut

ETAG = '"libro-1"'


def serve_in_two_parts(
    second: Callable[[bytes], Reply], *, etag: str | None = ETAG, cut: int = 400
) -> tuple[bytes, list[bytes]]:
    """Cut the first answer after some bytes; return the file after the second, and both request heads."""
    headers = {"ETag": etag} if etag else {}
    first = send(TEXT[:cut], length=len(TEXT), headers=headers)
    file = Buffer()
    with LoopbackServer({"/book": [first, second(TEXT[cut:])]}) as server:
        fetcher, part = Fetcher(FetchPolicy(**QUICK)), PartialFile(file)
        with pytest.raises(FetchFailure, match="broke after"):
            fetcher.fetch(f"{server.url}/book", part, name="book")
        fetcher.fetch(f"{server.url}/book", part, name="book")
        assert part.size_bytes == len(file.getvalue())
        assert part.digest.hexdigest() == hashlib.sha256(file.getvalue()).hexdigest()
        return file.getvalue(), list(server.heads)


def send_rest(rest: bytes, *, place: str | None = None, etag: str = ETAG) -> Reply:
    shown = place or f"bytes {len(TEXT) - len(rest)}-{len(TEXT) - 1}/{len(TEXT)}"
    return send(rest, status="206 Partial Content", headers={"Content-Range": shown, "ETag": etag})


def test_a_cut_file_is_resumed_where_it_was_cut() -> None:
    """The second request asks for the rest of the file with that ETag, and both parts make the whole file (N5)."""
    content, heads = serve_in_two_parts(send_rest)
    assert content == TEXT
    assert b"Range" not in heads[0]
    assert b"\r\nRange: bytes=400-\r\n" in heads[1]
    assert f"\r\nIf-Range: {ETAG}\r\n".encode() in heads[1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"', "bare", '"a"\tb', '"' + "x" * 999 + '"'])
def test_without_a_strong_etag_the_file_is_fetched_again(etag: str | None) -> None:
    """Without a strong ETag, which tells versions of a file apart, the file is fetched from the start (N5)."""
    content, heads = serve_in_two_parts(lambda rest: send(TEXT), etag=etag)
    assert content == TEXT
    assert b"range" not in heads[1].lower()


def test_a_file_that_changed_meanwhile_replaces_its_beginning() -> None:
    """When a server answers a range request with a whole file, that file replaces the first part (N5)."""
    new = "Otro libro, y más corto: 🌱\n".encode() * 9
    content, _ = serve_in_two_parts(lambda rest: send(new, headers={"ETag": '"libro-2"'}))
    assert content == new


@pytest.mark.parametrize(
    "second",
    [
        lambda rest: send_rest(rest, etag='"libro-2"'),
        lambda rest: send_rest(rest, place=f"bytes 0-{len(rest) - 1}/{len(TEXT)}"),
        lambda rest: send_rest(rest, place=f"bytes 400-{len(TEXT) + 8}/{len(TEXT) + 9}"),
        lambda rest: send_rest(rest, place="bytes 400-*/*"),
        lambda rest: send(b"", status="416 Range Not Satisfiable"),
        lambda rest: send(rest, status="206 Partial Content"),
        lambda rest: send_raw(
            f"HTTP/1.1 206 Part\r\nETag: {ETAG}\r\n"
            f"Content-Range: bytes 400-{len(TEXT) - 1}/{len(TEXT)}\r\n\r\n".encode()
            + rest[:-5]
        ),
    ],
    ids=["other mark", "other place", "other length", "unknown length", "416", "nothing said", "too short"],
)
def test_a_wrong_rest_is_never_appended(second: Callable[[bytes], Reply]) -> None:
    """An answer that is not exactly the rest of the file is refused, and the next request asks for everything (N5)."""
    file = Buffer()
    first = send(TEXT[:400], length=len(TEXT), headers={"ETag": ETAG})
    with LoopbackServer({"/book": [first, second(TEXT[400:]), send(TEXT)]}) as server:
        fetcher, part = Fetcher(FetchPolicy(**QUICK)), PartialFile(file)
        for words in ("broke after", "another"):
            with pytest.raises(FetchFailure, match=words) as caught:
                fetcher.fetch(f"{server.url}/book", part, name="book")
            assert caught.value.kind == "retry"
        fetcher.fetch(f"{server.url}/book", part, name="book")
        assert b"Range" not in server.heads[2]
    assert file.getvalue() == TEXT


# ---- encryption


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl program to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    request = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    command = ["openssl", *request.split(), "-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.mark.parametrize("is_trusted", [False, True])
def test_certificate(certificate: Path, is_trusted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a trusted certificate is used; one with an untrusted certificate gets no request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    file = Buffer()
    with LoopbackServer({"/book": send(TEXT)}, tls=context) as server:
        if is_trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            Fetcher(FetchPolicy(**QUICK)).fetch(f"{server.url}/book", PartialFile(file), name="book")
            assert file.getvalue() == TEXT
        else:
            with pytest.raises(FetchFailure, match="its TLS certificate is not valid") as caught:
                Fetcher(FetchPolicy(**QUICK)).fetch(f"{server.url}/book", PartialFile(file), name="book")
            assert caught.value.kind == "stop"
            assert not server.requests


# ---- redirects


def follow(location: str, **changes: Any) -> str:
    with LoopbackServer({"/book": redirect(location), "/there": send(TEXT)}) as server:
        fetcher = Fetcher(FetchPolicy(**{**QUICK, **changes}))
        return fetcher.fetch(f"{server.url}/book", PartialFile(Buffer()), name="book")


def test_redirect_followed() -> None:
    """A redirect on the same server is followed, and the final address is returned."""
    assert follow("/there").endswith("/there")


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://ftp.example.org/book",
        "data:text/plain,hola",
        "gopher://example.org/",
        "//example.org/book",
        "http://user:secret@127.0.0.1/book",
        "http://",
        "http://[::1/book",
        "http://127.0.0.1:99999/",
        "/there now",
        "\\\\example.org\\book",
        "/there\x1b[31m",
    ],
)
def test_redirect_refused(location: str) -> None:
    """A redirect may only lead to a plain http or https address."""
    with pytest.raises(FetchFailure, match="a redirect is refused") as caught:
        follow(location)
    assert caught.value.kind == "stop"
    assert "secret" not in caught.value.reason


@pytest.mark.parametrize(
    ("address", "location", "allowed"),
    [
        ("https://a.example/book", "http://a.example/book", False),
        ("https://a.example/book", "HTTP://b.example/book", False),
        ("https://a.example/book", "https://b.example/book", True),
        ("https://a.example/book", "/other", True),
        ("http://a.example/book", "https://a.example/book", True),
        ("http://a.example/book", "http://b.example/book", True),
    ],
)
def test_a_redirect_never_leaves_https(address: str, location: str, allowed: bool) -> None:
    """From https a redirect leads only to https (N30)."""
    if allowed:
        assert resolve_redirect(address, location)
    else:
        with pytest.raises(ValueError, match="from https to http"):
            resolve_redirect(address, location)


BOOK = b"The Project Gutenberg eBook of La semilla\n" + TEXT * 40
ENDING = b"\n*** END OF THE PROJECT GUTENBERG EBOOK LA SEMILLA ***\n"


@pytest.mark.parametrize(
    ("body", "reason", "warned"),
    [
        (BOOK, "without its length and without its end marker", False),
        (BOOK + ENDING, None, False),
        (BOOK + ENDING + b"licence " * 2500, None, False),
        (TEXT, None, True),
    ],
    ids=["half a book", "a whole book", "a book and its licence", "another text"],
)
def test_a_body_of_unknown_length_needs_an_end(body: bytes, reason: str | None, warned: bool) -> None:
    """Without a length, a book ends with its end marker, and other texts with a warning (N31)."""
    events: list[Event] = []
    with LoopbackServer({"/book": send_raw(HEAD + b"\r\n" + body)}) as server:
        fetcher = Fetcher(FetchPolicy(**QUICK), progress=events.append)
        with pytest.raises(FetchFailure, match=reason) if reason else nullcontext():
            fetcher.fetch(f"{server.url}/book", PartialFile(Buffer()), name="book")
    assert [event for event in events if isinstance(event, Warned)] == [
        Warned(
            "the server did not say how long book is, so a cut would not be noticed: look at its end",
            "network",
        )
    ] * warned


def test_redirect_loop() -> None:
    """Five redirects are followed and the sixth is refused."""
    with LoopbackServer({"/book": redirect("/book")}) as server:
        with pytest.raises(FetchFailure, match="more than 5 redirects"):
            Fetcher(FetchPolicy(**QUICK)).fetch(f"{server.url}/book", PartialFile(Buffer()), name="book")
        assert len(server.requests) == 6


@pytest.fixture
def two_networks() -> Iterator[tuple[LoopbackServer, LoopbackServer]]:
    """A server that counts as public redirects to one that counts as private."""
    with LoopbackServer({"/book": send(TEXT)}, address="127.0.0.1") as private:
        public = LoopbackServer({"/book": redirect(f"{private.url}/book")}, address="127.0.0.2")
        with public:
            yield public, private


def test_redirect_into_private_network(two_networks: tuple[LoopbackServer, LoopbackServer]) -> None:
    """A redirect from a public server to a private one is refused, and the private one gets no request."""
    public, private = two_networks
    policy = FetchPolicy(**QUICK, is_public=lambda address: address == "127.0.0.2")
    with pytest.raises(FetchFailure, match="private network") as caught:
        Fetcher(policy).fetch(f"{public.url}/book", PartialFile(Buffer()), name="book")
    assert caught.value.kind == "stop"
    assert not private.requests


def test_redirect_to_typed_host(two_networks: tuple[LoopbackServer, LoopbackServer]) -> None:
    """A redirect may lead to a private host that the user named."""
    public, private = two_networks
    policy = FetchPolicy(**QUICK, is_public=lambda address: address == "127.0.0.2")
    fetcher = Fetcher(policy, typed_hosts=frozenset({"127.0.0.1"}))
    part = PartialFile(Buffer())
    fetcher.fetch(f"{public.url}/book", part, name="book")
    assert part.size_bytes == len(TEXT)
    assert private.requests == ["/book"]


def test_credentials_stay_with_their_host() -> None:
    """A password in an address is sent to its host, and not to the target of a redirect."""
    with LoopbackServer({"/book": send(TEXT)}) as other:
        with LoopbackServer({"/book": redirect(f"{other.url}/book")}) as server:
            url = f"{server.url}/book".replace("//", "//ana:se%20creto@")
            Fetcher(FetchPolicy(**QUICK)).fetch(url, PartialFile(Buffer()), name="book")
            assert b"authorization: Basic YW5hOnNlIGNyZXRv" in server.heads[0]
        assert b"authorization" not in other.heads[0].lower()


# ---- proxies, courtesy, interruption


def test_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy named in the environment gets the whole address."""
    with LoopbackServer({"http://example.org/book": send(TEXT)}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//ana:secreto@"))
        address = Fetcher(FetchPolicy(**QUICK)).fetch(
            "http://example.org/book", PartialFile(Buffer()), name="book"
        )
        assert b"Proxy-Authorization: Basic " in proxy.heads[0].title()
    assert address == "http://example.org/book"


def test_dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure names the proxy that does not answer, not the server behind it."""
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{find_closed_port()}")
    with pytest.raises(FetchFailure, match="the proxy does not work: connection refused"):
        Fetcher(FetchPolicy(**QUICK)).fetch("http://example.org/book", PartialFile(Buffer()), name="book")


class FakeTime:
    """A clock that moves only during sleep."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def clock(self) -> float:
        return self.now_s


def test_pause_between_requests_to_a_public_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to one public host are two seconds apart; different hosts and local hosts need no pause."""
    clock = FakeTime()
    policy = FetchPolicy(sleep=clock.sleep, clock=clock.clock)
    with LoopbackServer(otherwise=send(TEXT)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        fetcher = Fetcher(policy)
        for url, expected_s in (
            ("http://one.example.org/a", 0.0),
            ("http://two.example.org/b", 0.0),
            ("http://one.example.org/c", 2.0),
            ("http://127.0.0.1/d", 0.0),
            ("http://127.0.0.1/e", 0.0),
        ):
            before_s = clock.now_s
            fetcher.fetch(url, PartialFile(Buffer()), name="book")
            assert clock.now_s - before_s == pytest.approx(expected_s), url


def test_the_pause_counts_from_the_end_of_a_request_and_over_redirects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pause starts after a slow answer too, and a redirect back to the same host counts as a request (N16)."""
    clock = FakeTime()

    def answer_slowly(connection: Any) -> None:
        clock.now_s += 7.0
        redirect("http://one.example.org/b")(connection)

    with LoopbackServer({"http://one.example.org/a": answer_slowly}, otherwise=send(TEXT)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        fetcher = Fetcher(FetchPolicy(sleep=clock.sleep, clock=clock.clock))
        fetcher.fetch("http://one.example.org/a", PartialFile(Buffer()), name="book")
    assert clock.now_s == pytest.approx(100.0 + 7.0 + 2.0)


def test_interruption_of_a_stalled_download() -> None:
    """A signal ends a download from a silent server at once, without waiting for the timeout."""
    with LoopbackServer({"/book": stall}) as server, interrupts.catch_signals():
        timer = threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.start()
        began_s = time.monotonic()
        with pytest.raises(InterruptedRunError) as caught:
            Fetcher(FetchPolicy(read_timeout_s=60.0)).fetch(
                f"{server.url}/book", PartialFile(Buffer()), name="book"
            )
        timer.join()
    assert caught.value.status == 130
    assert time.monotonic() - began_s < 30
