"""Requests take turns, have limits, and cost nothing once nobody waits for them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Served, serve, wait_until

from semilla.errors import IntegrityError
from semilla.server.api import Limits
from semilla.server.errors import RequestError
from semilla.server.generation import Piece
from semilla.server.scheduler import ACTIVE, WAITING, Job, Scheduler

LONG = {"model": "river", "prompt": "She", "max_tokens": 1_000_000}


@pytest.fixture
def patient(models_dir: Path) -> Iterator[Served]:
    """A server that writes as much as anybody asks for."""
    with serve(models_dir, limits=Limits(max_tokens=1_000_000, limit_s=600)) as served:
        yield served


def write_pieces(count: int, *, written: list[str], name: str) -> Iterator[Piece]:
    for number in range(count):
        written.append(name)
        yield Piece(0, "x", num_tokens=number + 1)


def follow(*jobs: tuple[str, Iterator[Piece]], first: int = 0) -> list[int | type[Exception]]:
    """Submit jobs, given as client and pieces; returns how many pieces each got, or what it raised."""

    async def collect(job: Job) -> int:
        return sum([len(batch) async for batch in job.batches()])

    async def submit() -> list[int | BaseException]:
        made = [Job(pieces, client=client, wait_s=60) for client, pieces in jobs]
        for job in made:
            scheduler.submit(job)
        return await asyncio.gather(*map(collect, made), return_exceptions=True)

    scheduler = Scheduler()
    try:
        return [one if isinstance(one, int) else type(one) for one in asyncio.run(submit())]  # type: ignore[misc]
    finally:
        scheduler.close()


def test_a_short_request_does_not_wait_for_a_long_one() -> None:
    """Both are written a few tokens at a time, in turns."""
    written: list[str] = []
    jobs = [
        ("", write_pieces(count, written=written, name=name))
        for name, count in (("long", 400), ("short", 12))
    ]
    assert follow(*jobs) == [400, 12]
    last_of_short = len(written) - written[::-1].index("short")
    assert last_of_short < 60


def test_the_first_token_is_sent_before_the_second_is_written() -> None:
    """The second waits here until the first has been read."""
    is_read = threading.Event()

    def write() -> Iterator[Piece]:
        yield Piece(0, "first", num_tokens=1)
        assert is_read.wait(60)
        yield Piece(0, "second", num_tokens=2)

    async def read() -> list[str]:
        job = Job(write(), client="", wait_s=60)
        scheduler.submit(job)
        texts = []
        async for batch in job.batches():
            texts += [piece.text for piece in batch]
            is_read.set()
        return texts

    scheduler = Scheduler()
    try:
        assert asyncio.run(read()) == ["first", "second"]
    finally:
        scheduler.close()


def test_a_client_with_many_requests_does_not_keep_out_another() -> None:
    """The other's only request is next, although forty came before it."""
    written: list[str] = []
    many = [("one", write_pieces(40, written=written, name="many")) for _ in range(40)]
    assert follow(*many, ("other", write_pieces(1, written=written, name="other")))[-1] == 1
    # At most the requests that were active at the time came first.
    assert written.index("other") <= (ACTIVE + 1) * 40


def test_a_failing_request_leaves_the_others_alone() -> None:
    def fail() -> Iterator[Piece]:
        yield Piece(0, "x", num_tokens=1)
        raise IntegrityError("damaged")

    assert follow(("", fail()), ("", write_pieces(30, written=[], name=""))) == [IntegrityError, 30]


def test_a_full_queue_refuses() -> None:
    """With an answer that tells the client to come again."""
    hold = threading.Event()

    def wait() -> Iterator[Piece]:
        hold.wait()
        yield Piece(0, "x")

    async def fill() -> None:
        for _ in range(ACTIVE + WAITING + 1):
            scheduler.submit(Job(wait(), client="", wait_s=60))

    scheduler = Scheduler()
    try:
        with pytest.raises(RequestError) as raised:
            asyncio.run(fill())
        assert raised.value.status == 503
    finally:
        hold.set()
        scheduler.close()


def test_a_text_ends_at_the_time_limit(models_dir: Path) -> None:
    """What was written until then is the answer."""
    with serve(models_dir, limits=Limits(max_tokens=1_000_000, limit_s=0.5)) as served:
        status, answer = served.ask_json("/v1/completions", LONG | {"repetition_penalty": 1})
    assert status == 200
    assert answer["choices"][0]["finish_reason"] in {"length", "stop"}
    assert answer["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole"])
def test_the_request_of_a_vanished_client_is_cancelled(patient: Served, is_stream: bool) -> None:
    """Texts of a million tokens leave the queue as soon as their client is gone."""
    body = json.dumps({**LONG, "stream": is_stream, "n": 16}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {patient.host}\r\nContent-Length: {len(body)}\r\n\r\n"
    with patient.connect() as connection:
        connection.sendall(head.encode() + body)
        if is_stream:
            assert connection.recv(12) == b"HTTP/1.1 200"
        else:
            wait_until(lambda: patient.scheduler.num_jobs == 1)
    wait_until(lambda: patient.scheduler.num_jobs == 0)


def test_a_client_that_does_not_read_holds_no_place(patient: Served) -> None:
    """Its text is written to the end, whether it reads or not; other requests are answered meanwhile."""
    body = json.dumps({**LONG, "max_tokens": 3000, "stream": True, "n": 4}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {patient.host}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", patient.port))
        connection.sendall(head.encode() + body)
        status, _ = patient.ask_json("/v1/completions", {"model": "tree", "prompt": "", "max_tokens": 3})
        assert status == 200
        wait_until(lambda: patient.scheduler.num_jobs == 0)
