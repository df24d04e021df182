"""The text source: a local one must exist; a remote one gets one request, whose failure is only a warning."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.catalogue import CATALOGUE, MIRRORS
from semilla.corpus.data_set import PREFIX, read_address
from semilla.corpus.fetching.addresses import find_host, find_proxy
from semilla.corpus.fetching.hub import locate_listing
from semilla.corpus.fetching.pace import PACE
from semilla.corpus.fetching.policy import FetchFailure, FetchPolicy
from semilla.corpus.fetching.watchdog import Watchdog
from semilla.corpus.source_list import MAX_WEIGHT
from semilla.corpus.sources import CorpusSource, list_text_files, resolve_sources
from semilla.errors import InvalidConfigError, InvalidCorpusError, SemillaError, from_os_error
from semilla.escape import redact_credentials
from semilla.prerequisites.check import Check, advise, fail_check, pass_check
from semilla.records import names

TIMEOUT_S = 5.0
"""For the whole answer."""
HEAD_NOT_OFFERED = {405, 501}


def check_source(config: PipelineConfiguration, *, reuses_corpus: bool = False) -> Check:
    """Check the text source. No server is asked when the corpus exists already or its phase is skipped."""
    if reuses_corpus or "corpus_download" in config.skip_phases:
        return pass_check("corpus_source", found="the corpus is already here", needed="a corpus")
    checks = [_check_source(source, config) for source in resolve_sources(config.corpus_source)]
    worst = min(checks, key=lambda check: (check.ok, not check.required))
    return replace(worst, found=" + ".join(check.found for check in checks)) if worst.ok else worst


def _check_source(source: CorpusSource, config: PipelineConfiguration) -> Check:
    if source.is_remote:
        try:
            return _check_remote(_find_address(source, config))
        except InvalidCorpusError as error:
            return fail_check("corpus_source", error, found="cannot be used", needed="the name of a data set")
    if source.kind == "catalogue":
        return pass_check("corpus_source", found=f"{source.value}, generated here", needed="a corpus")
    try:
        refuse_own_output(config)
    except InvalidConfigError as error:
        return fail_check("corpus_source", error, found="own output", needed="a text that no run here writes")
    return _check_pattern(source) if source.kind in {"pattern", "stdin"} else _check_local(source.value)


def refuse_own_output(config: PipelineConfiguration) -> None:
    """Raise InvalidConfigError when the source is something that runs write in this very output directory."""
    directory = Path(config.output_directory).resolve()
    if "corpus_download" in config.skip_phases:
        return
    for source in resolve_sources(config.corpus_source):
        if source.is_local and names.is_output(Path(source.value).resolve(), directory):
            raise InvalidConfigError(
                f"{source.value} is part of the output directory {config.output_directory}, where runs write it. "
                "Give the original text, or another --output-dir"
            )


def _find_address(source: CorpusSource, config: PipelineConfiguration) -> str:
    """Return the first address the source would be fetched from."""
    if source.kind == "url":
        return source.value
    if source.kind == "data set":
        return locate_listing(read_address(source.value))
    mirror = next(iter(config.corpus_mirrors or MIRRORS))
    return f"{mirror.rstrip('/')}/{next(CATALOGUE[source.value].books[0].list_paths())}"


def _check_pattern(source: CorpusSource) -> Check:
    if source.kind == "stdin":
        return pass_check("corpus_source", found="standard input", needed="a corpus")
    try:
        num_files = len(list_text_files(source))
    except SemillaError as error:
        return fail_check("corpus_source", error, found="no file", needed="a pattern that matches files")
    return pass_check("corpus_source", found=f"{num_files:,} files match {source.value}", needed="a corpus")


def _check_local(source: str) -> Check:
    error = _find_local_error(source)
    if error is None:
        return pass_check("corpus_source", found=source, needed="a corpus")
    return fail_check(
        "corpus_source",
        error,
        found="cannot be used",
        needed="a catalogue name, an address, a file, a folder",
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
            head, _, weight = source.rpartition("=")
            if head and Path(head).exists():
                return InvalidCorpusError(
                    f"{weight!r} is not a weight of {head}: give a whole number from 1 to {MAX_WEIGHT}"
                )
            missing = f"file or folder {path}" if _is_path(source) else f"file or catalogue entry {source!r}"
            return InvalidCorpusError(f"there is no {missing}{_suggest(source)}")
    except OSError as error:
        return from_os_error(error, path)
    return None


def _is_path(source: str) -> bool:
    """Return whether a source can only be a path: no name of the catalogue has a slash or a suffix."""
    return "://" not in source and (os.sep in source or bool(Path(source).suffix))


def _suggest(source: str) -> str:
    if "://" in source or source.startswith("www."):
        return f"; addresses begin with http:// or https://, and data sets with {PREFIX}"
    path = Path(source)
    neighbours: list[str] = []
    with suppress(OSError):
        neighbours = [neighbour.name for neighbour in path.parent.iterdir()]
    near_files = [str(path.parent / name) for name in get_close_matches(path.name, neighbours, n=1)]
    if _is_path(source):
        return f"; did you mean {near_files[0]}?" if near_files else ""
    near_names = get_close_matches(source.lower(), CATALOGUE, n=1)
    near = [*near_names, *near_files] or [f"one of {', '.join(CATALOGUE)}"]
    return f"; did you mean {' or '.join(near)}?"


def _check_remote(address: str) -> Check:
    host = find_host(address)
    if not host:
        error = InvalidCorpusError(f"{redact_credentials(address)} is not an address")
        return fail_check("corpus_source", error, found="cannot be used", needed="an address with a host")
    needed = "an answer; without one only a warning, because the download tries again"
    if find_proxy(address):
        return pass_check("corpus_source", found=f"{host}, behind a proxy (not asked)", needed=needed)
    problem = ask_server(address)
    if problem is None:
        return pass_check("corpus_source", found=f"{host} answers", needed=needed)
    advice = (
        f"{host} may not serve the text: {problem}; a local file or --corpus-source sample needs no network"
    )
    return advise("corpus_source", advice, found=problem, needed=needed)


def ask_server(address: str) -> str | None:
    """Send one HEAD request; return what is wrong with the answer, or None."""
    try:
        # Imported late: the check of the packages reports a missing urllib3.
        from semilla.corpus.fetching.transport import list_headers, open_response  # noqa: PLC0415
    except ImportError as error:
        return f"not asked: {error}"
    policy = FetchPolicy(connect_timeout_s=TIMEOUT_S, read_timeout_s=TIMEOUT_S)
    # The address's credentials are only for the download. Without them, 401 is the expected answer.
    headers = list_headers(address, with_credentials=False)
    try:
        with (
            Watchdog(deadline_s=TIMEOUT_S) as watchdog,
            PACE.take_turn(find_host(address)),
            open_response(
                address, method="HEAD", headers=headers, policy=policy, watchdog=watchdog, allow_private=True
            ) as (response, _),
        ):
            watchdog.check()  # headers that were cut off look complete
    except FetchFailure as failure:
        return failure.reason
    status = response.status
    is_fine = status < 400 or status in HEAD_NOT_OFFERED or (status == 401 and urlsplit(address).username)
    return None if is_fine else f"it answered {status}"
