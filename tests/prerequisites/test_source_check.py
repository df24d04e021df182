"""The text source is checked before anything is downloaded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import urllib3.connection
from servers import LoopbackServer, dribble, find_closed_port, redirect, send, stall

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.fetching.pace import PACE
from semilla.errors import InvalidCorpusError, PermissionDeniedError
from semilla.prerequisites import source
from semilla.prerequisites.source import check_source


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def check(corpus_source, **kwargs):
    changes = {name: kwargs.pop(name) for name in ("skip_phases", "corpus_mirrors") if name in kwargs}
    return check_source(PipelineConfiguration(corpus_source=str(corpus_source), **changes), **kwargs)


def test_what_is_local_and_there_passes(tmp_path):
    """A file, a folder and the generated sample pass."""
    (tmp_path / "cuento ñ.txt").write_text("Érase una vez")
    assert check(tmp_path / "cuento ñ.txt").ok
    assert check(tmp_path).ok
    assert check("sample").ok


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("quento.txt", "did you mean {0}/cuento.txt?"),
        ("nothing/like/it", "there is no file or folder {0}/nothing/like/it"),
        ("books/gutenberg", "there is no file or folder {0}/books/gutenberg"),
    ],
)
def test_a_missing_file_suggests_a_close_one(tmp_path, name, hint):
    """A path that does not exist is invalid_corpus, and a file with a similar name is suggested."""
    (tmp_path / "cuento.txt").write_text("Érase una vez")
    error = check(tmp_path / name).error
    assert isinstance(error, InvalidCorpusError)
    assert error.message.endswith(hint.format(tmp_path))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gutenburg", "did you mean gutenberg?"),
        ("Sample", "did you mean sample?"),
        ("nothing", "did you mean one of gutenberg, gutenberg-large, sample?"),
        ("gutenberg.txt", "there is no file or folder gutenberg.txt"),
        ("ftp://x/y", "begin with http://"),
    ],
)
def test_a_misspelt_catalogue_name_suggests_the_right_one(tmp_path, monkeypatch, name, hint):
    """For a source that is neither a name nor a file, the likely name is suggested."""
    monkeypatch.chdir(tmp_path)
    assert hint in check(name).error.message


def test_a_pipe_is_refused_without_waiting(tmp_path):
    """A pipe is not opened, because that could block forever."""
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in check(tmp_path / "pipe").error.message


def test_an_unreadable_file_is_a_permission_error(tmp_path, monkeypatch):
    """A file without read permission is not reported as missing."""
    (tmp_path / "cuento.txt").write_text("Érase una vez")

    def refuse(self, *arguments, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert isinstance(check(tmp_path / "cuento.txt").error, PermissionDeniedError)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (send(b""), None),
        (redirect("https://example.org/"), None),
        (send(b"", status="405 Method Not Allowed"), None),
        (send(b"", status="404 Not Found"), "it answered 404"),
        (send(b"", status="503 Service Unavailable"), "it answered 503"),
        (send(b"", status="401 Unauthorized"), "it answered 401"),
    ],
)
def test_one_request_asks_a_remote_source(reply, problem):
    """A URL gets one HEAD request; a bad answer is only advice."""
    with LoopbackServer({"/libro.txt?a=1": reply}) as server:
        verdict = check(f"{server.url}/libro.txt?a=1")
    assert server.heads[0].startswith(b"HEAD /libro.txt?a=1 HTTP/1.1\r\n")
    assert b"User-Agent: semilla/" in server.heads[0]
    assert len(server.requests) == 1
    assert not verdict.required or verdict.ok
    assert verdict.error is None
    assert (verdict.advice or "").find(str(problem)) >= 0 or problem is None
    assert verdict.ok is (problem is None)


def test_credentials_are_neither_sent_nor_shown():
    """The request is sent without the address's password, and 401 then passes."""
    with LoopbackServer(otherwise=send(b"", status="401 Unauthorized")) as server:
        verdict = check(server.url.replace("http://", "http://ana:s3cret@") + "/x.txt")
    assert verdict.ok
    assert "s3cret" not in repr(verdict)
    assert b"Authorization" not in server.heads[0]


def test_the_first_mirror_is_asked_for_the_first_book():
    """A catalogue of books is checked with its first book on the first mirror."""
    with LoopbackServer(otherwise=send(b"")) as server:
        assert check("gutenberg", corpus_mirrors=(server.url + "/", "http://127.0.0.1:1")).ok
    assert server.requests == ["/cache/epub/1342/pg1342.txt"]


@pytest.mark.parametrize(
    "reply", [stall, dribble(b"x", prefix=b"HTTP/1.1 200 OK\r\nA: ")], ids=["silent", "dribbling"]
)
def test_a_server_that_never_finishes_is_left_in_time(monkeypatch, reply):
    """Neither a silent server nor one that sends single bytes delays the check for long."""
    monkeypatch.setattr(source, "TIMEOUT_S", 0.5)
    start_s = time.monotonic()
    with LoopbackServer(otherwise=reply) as server:
        verdict = check(f"{server.url}/x.txt")
    assert verdict.advice
    assert time.monotonic() - start_s < 5


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{0}/x", "http://no-such-host.invalid/x", "http://127.0.0.1:99999/x"]
)
def test_an_unreachable_source_is_only_an_advice(address):
    """A refused connection, an unknown host and a malformed address are only advice; the download decides."""
    verdict = check(address.format(find_closed_port()))
    assert verdict.verdict == "advice"
    assert "--corpus-source sample" in verdict.advice


@pytest.mark.parametrize("address", ["http://[::1", "http://", "https://ana:s3cret@"])
def test_an_address_without_a_host_is_refused_at_once(address):
    """An address without a host can never be fetched."""
    error = check(address).error
    assert isinstance(error, InvalidCorpusError)
    assert "s3cret" not in error.message


def test_no_server_is_asked_when_the_corpus_is_there_or_skipped():
    """A reused or skipped corpus needs no network."""
    with LoopbackServer() as server:
        assert check(f"{server.url}/x", reuses_corpus=True).ok
        assert check(f"{server.url}/x", skip_phases={"corpus_download"}).ok
    assert server.requests == []


def test_no_request_is_sent_behind_a_proxy(monkeypatch):
    """A direct request would not show what the proxy can reach."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    assert "behind a proxy" in check("http://example.org/x.txt").found


def test_the_download_waits_after_the_check(monkeypatch):
    """The pause for a public host is kept between the check's request and the download's first (N16)."""
    waits = []
    monkeypatch.setattr(PACE, "_free_at_s", {})
    monkeypatch.setattr(source, "find_proxy", lambda address: None)
    monkeypatch.setattr(urllib3.connection.HTTPConnection, "connect", refuse_connection)
    assert check("http://mirror.example.org/libro.txt").advice
    with PACE.take_turn("mirror.example.org", wait=waits.append):
        pass
    assert 1.0 < waits[0] <= 2.0


def refuse_connection(connection):
    raise ConnectionRefusedError("nobody there")
