"""Lets requests take turns in one thread, a few tokens at a time, so that none waits for a long text of another.

One thread is enough: a token keeps one core busy, and two forward passes at once would only share it. ACTIVE requests
take turns; the others wait. Of those, the one comes next whose client has the fewest requests among the active ones.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress

from semilla.server.errors import RequestError
from semilla.server.generation import Piece

ACTIVE = 8
"""Requests that take turns: each holds a KV cache."""
WAITING = 512
TURN_TOKENS = 8
TELL_S = 0.03
"""After its first token a reader hears of new ones at most this often, and once a turn: sending some takes as long as
generating one."""


class Job:
    """A request in the queue. The scheduler's thread writes its pieces; the event loop reads them with ``batches``.

    Writing never waits for the reader, so a slow client holds no place in the queue.
    """

    def __init__(self, pieces: Iterator[Piece], *, client: str, wait_s: float) -> None:
        self.client = client
        self._wait_s = wait_s
        self.is_cancelled = False
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._written: deque[Piece] = deque()
        self._news = asyncio.Event()
        self._is_called = False
        self._told_s = -math.inf
        self._is_done = False
        self._failure: Exception | None = None

    async def batches(self) -> AsyncIterator[Sequence[Piece]]:
        """Yield the pieces since the last batch.

        Raises what went wrong in the thread, and RequestError when no turn came within ``wait_s``.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._news.wait()
        except TimeoutError:
            self.cancel()
            raise RequestError(
                503, "the server is busy; this request waited too long", code="overloaded"
            ) from None
        while True:
            await self._news.wait()
            self._news.clear()
            is_done = self._is_done  # asked before the pieces are taken: none follows
            pieces = [self._written.popleft() for _ in range(len(self._written))]
            if pieces:
                yield pieces
            if is_done and self._failure:
                raise self._failure
            if is_done:
                return

    def cancel(self) -> None:
        self.is_cancelled = True

    def take_turn(self) -> bool:
        """Write a few tokens; returns whether there is more to write. Called by the scheduler's thread."""
        if self.is_cancelled:
            return False
        try:
            for _ in range(TURN_TOKENS):
                piece = next(self._pieces)
                self._written.append(piece)
                if piece.says_something and self._told_s == -math.inf:
                    self._tell()
        except StopIteration:
            self._is_done = True
        except Exception as error:
            self._failure, self._is_done = error, True
        if self._is_done or time.monotonic() - self._told_s >= TELL_S:
            self._tell()
        return not self._is_done

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        if not self._is_called:
            self._is_called = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_called = False
        self._news.set()


class Scheduler:
    """The queue and its thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._active: deque[Job] = deque()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="generation", daemon=True)
        self._thread.start()

    @property
    def num_jobs(self) -> int:
        return len(self._waiting) + len(self._active)

    def submit(self, job: Job) -> None:
        """Queue a request; raises RequestError when the queue is full."""
        with self._changed:
            self._waiting = [one for one in self._waiting if not one.is_cancelled]
            if len(self._waiting) >= WAITING:
                raise RequestError(503, "too many requests are waiting; try again later", code="overloaded")
            self._waiting.append(job)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._waiting or self._active)
                if self._is_closed:
                    return
                if self._waiting and len(self._active) < ACTIVE:
                    self._admit()
            if self._active:
                # The request stays among the active ones during its turn, so that num_jobs counts it.
                if self._active[0].take_turn():
                    self._active.rotate(-1)
                else:
                    self._active.popleft()

    def _admit(self) -> None:
        self._waiting = [job for job in self._waiting if not job.is_cancelled]
        while self._waiting and len(self._active) < ACTIVE:
            places = Counter(job.client for job in self._active)
            job = min(self._waiting, key=lambda one: places[one.client])
            self._waiting.remove(job)
            self._active.append(job)
