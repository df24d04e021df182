"""Downloading a book: retries, other addresses, other mirrors, reuse, and the error when all fail."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from servers import LoopbackServer, Reply, find_closed_port, send, send_raw, stall

from semilla.corpus.catalogue import Book
from semilla.corpus.fetching.downloads import Download, Downloader
from semilla.corpus.fetching.fetcher import Fetcher
from semilla.corpus.fetching.policy import FetchPolicy
from semilla.errors import DiskSpaceError, InvalidConfigError, InvalidCorpusError, NetworkError
from semilla.events import ArtifactWritten, Event, Note

BOOK = Book(2000, "Don Quijote", "Miguel de Cervantes Saavedra", "es")
TEXT = "En un lugar de la Mancha, de cuyo nombre no quiero acordarme… 🌱\n".encode() * 30
NEWEST, OLDER, LATIN_1 = "/cache/epub/2000/pg2000.txt", "/2/0/0/2000/2000-0.txt", "/2/0/0/2000/2000-8.txt"
WRONG = send(b"try later", status="500 Internal Server Error")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Bench:
    """A downloader that records its waits instead of waiting."""

    def __init__(self, folder: Path, **policy: Any) -> None:
        self.waits_s: list[float] = []
        self.events: list[Event] = []
        limits = {"connect_timeout_s": 2.0, "read_timeout_s": 0.2, **policy}
        fetcher = Fetcher(FetchPolicy(sleep=self.waits_s.append, **limits), progress=self.events.append)
        self.downloader = Downloader(folder, fetcher)
        self.folder = folder / "downloads"

    def obtain(self, *servers: LoopbackServer | str, book: Book = BOOK) -> Download:
        mirrors = [server if isinstance(server, str) else server.url for server in servers]
        return self.downloader.download_book(book, mirrors=mirrors)

    def read(self, download: Download) -> bytes:
        return (self.folder / download.file_name).read_bytes()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_addresses_of_a_book() -> None:
    """A book is requested from the cache, then from the older tree in UTF-8 and Latin-1; never in plain ASCII."""
    assert [f"/{path}" for path in BOOK.list_paths()] == [NEWEST, OLDER, LATIN_1]
    assert list(Book(11, "", "", "en").list_paths())[1] == "1/11/11-0.txt"
    assert list(Book(7, "", "", "en").list_paths())[1] == "0/7/7-0.txt"


def test_first_mirror_has_it(bench: Bench) -> None:
    """The whole file is written to downloads/ with a record of its origin, and both are announced."""
    with LoopbackServer({NEWEST: send(TEXT)}) as server:
        download = bench.obtain(server)
    assert bench.read(download) == TEXT
    assert (download.mirror, download.url) == (server.url, server.url + NEWEST)
    assert (download.attempts, bench.waits_s) == (1, [])
    written = [event.path.name for event in bench.events if isinstance(event, ArtifactWritten)]
    assert sorted(written) == sorted(path.name for path in bench.folder.iterdir())


def test_retries_with_growing_waits(bench: Bench) -> None:
    """A server that fails three times and then answers gets four requests, with waits of 1, 2 and 4 seconds."""
    with LoopbackServer({NEWEST: [WRONG, send(TEXT[:50], length=900), send_raw(b""), send(TEXT)]}) as server:
        download = bench.obtain(server)
    assert bench.read(download) == TEXT
    assert download.attempts == 4
    assert sum(bench.waits_s) == pytest.approx(7.0)


def test_retries_end(bench: Bench) -> None:
    """After one request and three retries, the next mirror is used and recorded."""
    with LoopbackServer({NEWEST: WRONG}) as bad, LoopbackServer({NEWEST: send(TEXT)}) as good:
        download = bench.obtain(bad, good)
        assert bad.requests == [NEWEST] * 4
    assert download.mirror == good.url
    assert download.attempts == 5


@pytest.mark.parametrize(
    ("status", "asked", "waited_s"),
    [
        ("503 Service Unavailable", "7", 7.0),
        ("429 Too Many Requests", "7", 7.0),
        ("503 Service Unavailable", "0", 1.0),
        ("503 Service Unavailable", "soon", 1.0),
    ],
)
def test_retry_after_is_waited_for(bench: Bench, status: str, asked: str, waited_s: float) -> None:
    """Retry-After is waited for, and never shortens the usual wait (N15)."""
    busy = send(b"later", status=status, headers={"Retry-After": asked})
    with LoopbackServer({NEWEST: [busy, send(TEXT)]}) as server:
        assert bench.obtain(server).attempts == 2
    assert sum(bench.waits_s) == pytest.approx(waited_s)


@pytest.mark.parametrize("asked", ["61", "9" * 30, "Fri, 31 Dec 2399 23:59:59 GMT"])
def test_a_long_retry_after_leads_to_the_next_mirror(bench: Bench, asked: str) -> None:
    """A server that asks for more than a minute is given up, and the next mirror is asked at once (N15)."""
    busy = send(b"later", status="503 Service Unavailable", headers={"Retry-After": asked})
    with LoopbackServer({NEWEST: busy}) as bad, LoopbackServer({NEWEST: send(TEXT)}) as good:
        assert bench.obtain(bad, good).mirror == good.url
        assert bad.requests == [NEWEST]
    assert bench.waits_s == []


@pytest.mark.parametrize("status", ["403 Forbidden", "429 Too Many Requests"])
def test_refusal_is_respected(bench: Bench, status: str) -> None:
    """A mirror that refuses gets no further request, not even for the next book."""
    with (
        LoopbackServer(otherwise=send(b"no", status=status)) as bad,
        LoopbackServer({NEWEST: send(TEXT)}) as good,
    ):
        bench.obtain(bad, good)
        with pytest.raises(NetworkError, match="not asked again"):
            bench.obtain(bad, book=Book(11, "Alice", "Carroll", "en"))
        assert bad.requests == [NEWEST]


def test_other_addresses(bench: Bench) -> None:
    """A file that is missing at one address is requested at the next, without retries or waits."""
    with LoopbackServer({LATIN_1: send("ñandú".encode("latin-1") * 99)}) as server:
        download = bench.obtain(server)
        assert server.requests == [NEWEST, OLDER, LATIN_1]
    assert download.url.endswith("-8.txt")
    assert bench.waits_s == []


def test_book_that_no_mirror_has(bench: Bench) -> None:
    """A book that no mirror has is a network error that names the book and both mirrors."""
    with LoopbackServer() as one, LoopbackServer(address="127.0.0.2") as two:
        with pytest.raises(NetworkError) as caught:
            bench.obtain(one, two)
        assert len(one.requests) == len(two.requests) == 3
    message = str(caught.value)
    assert "book 2000 (Don Quijote)" in message
    assert "127.0.0.1: HTTP 404 Not Found (3 attempts)" in message
    assert "127.0.0.2: HTTP 404" in message


@pytest.mark.parametrize(
    "reply",
    [
        send(b"<!DOCTYPE html><title>Verify you are human</title>"),
        send(TEXT, content_type="text/html"),
        send(TEXT, headers={"Content-Encoding": "br"}),
        send(TEXT, length=1 << 40),
        send(b""),
    ],
    ids=["captcha", "html", "compressed", "too large", "empty"],
)
def test_bad_answer_leads_to_the_next_mirror(bench: Bench, reply: Reply) -> None:
    """An answer that is not a book is discarded, and the next mirror is asked at once."""
    with LoopbackServer({NEWEST: reply}) as bad, LoopbackServer({NEWEST: send(TEXT)}) as good:
        download = bench.obtain(bad, good)
        assert bad.requests == [NEWEST]
    assert bench.read(download) == TEXT


def test_total_failure_leaves_no_files(bench: Bench) -> None:
    """After the last attempt, the error names each server, its attempts, why it failed, and what to do instead."""
    address = f"http://ana:secreto@127.0.0.1:{find_closed_port()}"
    with (
        LoopbackServer({NEWEST: stall}, address="127.0.0.2") as silent,
        pytest.raises(NetworkError) as caught,
    ):
        bench.obtain(address, silent)
    message = str(caught.value)
    assert "127.0.0.1: connection refused (4 attempts)" in message
    assert "127.0.0.2: silent for 0.2 s (4 attempts)" in message
    assert "--corpus-source sample" in message
    assert "secreto" not in message
    assert "proxy" not in message
    assert caught.value.next_command == "semilla run --corpus-source sample"
    assert list(bench.folder.iterdir()) == []


def test_total_failure_names_the_proxy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the proxy of the environment, without its password."""
    monkeypatch.setenv("http_proxy", f"http://ana:secreto@127.0.0.1:{find_closed_port()}")
    with pytest.raises(NetworkError, match=r"sets a proxy \(http://\*\*\*@127") as caught:
        bench.obtain("http://mirror.example.org")
    assert "secreto" not in str(caught.value)


def test_hostile_words_are_escaped(bench: Bench) -> None:
    """Control codes from a server are escaped in the error."""
    reply = send(b"", status="403 \x1b]52;c;aGk=\x07 \x9b31m")
    with LoopbackServer(otherwise=reply) as server, pytest.raises(NetworkError) as caught:
        bench.obtain(server)
    assert str(caught.value).isprintable()
    assert "\\x1b]52" in str(caught.value)


def test_only_empty_files(bench: Bench) -> None:
    """When every file is empty, the error is about the corpus, not the network."""
    with LoopbackServer({NEWEST: send(b"")}) as server, pytest.raises(InvalidCorpusError, match="empty file"):
        bench.obtain(server)


# ---- reuse


def test_download_is_reused(tmp_path: Path) -> None:
    """A verified download is reused by the next run, and the run says so."""
    with LoopbackServer({NEWEST: send(TEXT)}) as server:
        first = Bench(tmp_path).obtain(server)
        bench = Bench(tmp_path)
        assert bench.obtain(server) == first
        assert server.requests == [NEWEST]
    assert any(isinstance(event, Note) and "pg2000.txt" in event.text for event in bench.events)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "record"])
def test_damaged_download_is_fetched_again(tmp_path: Path, damage: str) -> None:
    """A download that no longer matches its record is fetched again."""
    with LoopbackServer({NEWEST: send(TEXT)}) as server:
        path = tmp_path / "downloads" / Bench(tmp_path).obtain(server).file_name
        if damage == "flip":
            path.write_bytes(bytes([TEXT[0] ^ 1]) + TEXT[1:])
        elif damage == "cut":
            path.write_bytes(TEXT[:-1])
        elif damage == "remove":
            path.unlink()
        else:
            path.with_name("pg2000.txt.json").write_text('{"mirror": 3', encoding="utf-8")
        Bench(tmp_path).obtain(server)
        assert server.requests == [NEWEST] * 2
    assert path.read_bytes() == TEXT


def test_a_download_from_another_mirror_is_not_reused(tmp_path: Path) -> None:
    """A download from a mirror that is no longer configured is not reused."""
    with LoopbackServer({NEWEST: send(TEXT)}) as one, LoopbackServer({NEWEST: send(TEXT * 2)}) as two:
        Bench(tmp_path).obtain(one)
        bench = Bench(tmp_path)
        assert bench.read(bench.obtain(two)) == TEXT * 2


def test_foreign_file_is_left_alone(bench: Bench) -> None:
    """A file of that name without a record is never overwritten."""
    bench.folder.mkdir()
    (bench.folder / "pg2000.txt").write_text("mi tesis", encoding="utf-8")
    with (
        LoopbackServer({NEWEST: send(TEXT)}) as server,
        pytest.raises(InvalidConfigError, match="not downloaded by Semilla"),
    ):
        bench.obtain(server)
    assert (bench.folder / "pg2000.txt").read_text(encoding="utf-8") == "mi tesis"


def test_failed_attempt_keeps_an_earlier_file(tmp_path: Path) -> None:
    """A failed download leaves no partial file under the final name."""
    with LoopbackServer({NEWEST: [send(TEXT), send(TEXT[:90], length=900)]}) as server:
        path = tmp_path / "downloads" / Bench(tmp_path).obtain(server).file_name
        path.write_bytes(b"damaged")
        with pytest.raises(NetworkError):
            Bench(tmp_path).obtain(server)
    assert path.read_bytes() == b"damaged"
    assert not list(path.parent.glob("*.tmp"))


def test_full_disk_is_not_the_network(bench: Bench) -> None:
    """A full disk is reported at once, without another request, and no file is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with LoopbackServer({NEWEST: send(TEXT * 200)}) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        try:
            with pytest.raises(DiskSpaceError, match=r"pg2000\.txt"):
                bench.obtain(server)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert server.requests == [NEWEST]
    assert list(bench.folder.iterdir()) == []


def test_page_name_never_comes_from_the_server(bench: Bench) -> None:
    """The file of an address is named by a hash of the address, and its record hides the password."""
    with LoopbackServer(otherwise=send(TEXT, headers={"Content-Disposition": "filename=../../x"})) as server:
        url = f"{server.url}/../../etc/passwd?x=%2e%2e".replace("//", "//ana:secreto@", 1)
        download = bench.downloader.download_page(url)
    assert download.file_name.startswith("page-")
    assert bench.read(download) == TEXT
    record = (bench.folder / f"{download.file_name}.json").read_text(encoding="utf-8")
    assert json.loads(record)["url"].startswith("http://***@127.0.0.1")
    assert "secreto" not in record
