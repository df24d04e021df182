"""The text to learn from: a local source must be there; a remote one is asked once, and only warned about."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from semilla import __version__
from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import CATALOGUE, MIRRORS
from semilla.corpus.fetching.addresses import find_host, find_proxy
from semilla.corpus.fetching.pace import PACE
from semilla.corpus.sources import CorpusSource, resolve_source
from semilla.errors import InvalidCorpusError, SemillaError, from_os_error
from semilla.escape import redact_credentials
from semilla.prerequisites.check import Check, advise, fail_check, pass_check

TIMEOUT_S = 5.0
"""For the whole answer: a server that sends a byte a second would never trip a timeout on silence."""
HEAD_NOT_OFFERED = {405, 501}


def check_source(config: PipelineConfiguration, *, reuses_corpus: bool = False) -> Check:
    """Look at the source of the text; no server is asked for a corpus that is here or is to be skipped."""
    source = resolve_source(config.corpus_source)
    if reuses_corpus or "corpus_download" in config.skip_phases:
        return pass_check("corpus_source", found="the corpus is already here", needed="a corpus")
    if source.is_remote:
        return _check_remote(_find_address(source, config))
    if source.kind == "catalogue":
        return pass_check("corpus_source", found=f"{source.value}, made here", needed="a corpus")
    return _check_local(source.value)


def _find_address(source: CorpusSource, config: PipelineConfiguration) -> str:
    """Return the first address the source would be fetched from."""
    if source.kind == "url":
        return source.value
    mirror = next(iter(config.corpus_mirrors or MIRRORS))
    return f"{mirror.rstrip('/')}/{next(CATALOGUE[source.value].books[0].list_paths())}"


def _check_local(source: str) -> Check:
    error = _find_local_error(source)
    if error is None:
        return pass_check("corpus_source", found=source, needed="a corpus")
    return fail_check(
        "corpus_source", error, found="cannot be used", needed="a catalogue name, a URL, a file, a folder"
    )


def _find_local_error(source: str) -> SemillaError | None:
    path = Path(source)
    try:
        if path.is_dir():
            os.scandir(path).close()
        elif path.is_file():
            path.open("rb").close()
        elif path.exists():
            return InvalidCorpusError(f"{source} is neither a file nor a folder")
        else:
            return InvalidCorpusError(f"there is no file or catalogue entry {source!r}{_suggest(source)}")
    except OSError as error:
        return from_os_error(error, path)
    return None


def _suggest(source: str) -> str:
    if "://" in source:
        return "; addresses begin with http:// or https://"
    path = Path(source)
    neighbours: list[str] = []
    with suppress(OSError):
        neighbours = [neighbour.name for neighbour in path.parent.iterdir()]
    near_files = [str(path.parent / name) for name in get_close_matches(path.name, neighbours, n=1)]
    near_names = get_close_matches(source.lower(), CATALOGUE, n=1)
    near = [*near_names, *near_files] or [f"one of {', '.join(CATALOGUE)}"]
    return f"; did you mean {' or '.join(near)}?"


def _check_remote(address: str) -> Check:
    host = find_host(address)
    if not host:
        error = InvalidCorpusError(f"{redact_credentials(address)} is not an address")
        return fail_check("corpus_source", error, found="cannot be used", needed="an address with a host")
    needed = "an answer; only a warning, the download tries again"
    if find_proxy(address):
        return pass_check("corpus_source", found=f"{host}, behind a proxy (not asked)", needed=needed)
    problem = ask_server(address)
    if problem is None:
        return pass_check("corpus_source", found=f"{host} answers", needed=needed)
    advice = (
        f"{host} did not answer as hoped: {problem}; a local file or --corpus-source sample needs no network"
    )
    return advise("corpus_source", advice, found=problem, needed=needed)


def ask_server(address: str) -> str | None:
    """Send one HEAD request; return what is wrong with the answer, or None."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        with PACE.take_turn(find_host(address)), _cut_off(connection):
            connection.request("HEAD", path, headers={"User-Agent": f"semilla/{__version__}"})
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    # The credentials of an address are kept for the download; without them a 401 is the answer hoped for.
    is_fine = status < 400 or status in HEAD_NOT_OFFERED or (status == 401 and parts.username)
    return None if is_fine else f"it answered {status}"


@contextmanager
def _cut_off(connection: http.client.HTTPConnection) -> Iterator[None]:
    """Shut the connection down when the time is up, whatever it is doing."""
    is_late = threading.Event()

    def shut_down() -> None:
        is_late.set()
        if connection.sock:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(TIMEOUT_S, shut_down)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()
    # A head that was cut off parses like a whole one.
    if is_late.is_set():
        raise TimeoutError(f"no whole answer within {TIMEOUT_S:g} s")
