"""Runs the server: uvicorn, with limits on what a connection may cost."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from semilla.errors import InvalidConfigError, from_os_error
from semilla.system.descriptors import allow_descriptors

MAX_CONNECTIONS = 1000
"""More are answered with 503; each costs a descriptor."""
SPARE_DESCRIPTORS = 200
SLOW_S = 15.0
"""A client may take this long to send the head of a request, and to read when it has fallen behind."""
GRACE_S = 2
BACKLOG = 1024


class Connection(H11Protocol):
    """A connection that is dropped when its client keeps it waiting."""

    _head_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(SLOW_S, self._drop_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._read_timer):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._head_timer:
            self._head_timer.cancel()
        self._head_timer = self.loop.call_later(SLOW_S, self._drop_if_idle)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_timer = self.loop.call_later(SLOW_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_timer:
            self._read_timer.cancel()

    def _drop_if_idle(self) -> None:
        """Drop the connection unless a request is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


class Server(uvicorn.Server):
    """Ends at SIGINT and SIGTERM as one ends a server: without an error. ``on_stop`` is called at once."""

    def __init__(self, config: uvicorn.Config, *, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    @contextmanager
    def catch_signals(self) -> Iterator[None]:
        """Stop at a signal, also at one that comes before the server runs. Only the main thread may do this."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn would catch them later than ``catch_signals``, and raise them again."""
        yield

    def stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._on_stop()


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises InvalidConfigError when the address or the port cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            cause = f"port {port} is in use"
            raise InvalidConfigError(cause, next_command="semilla serve --port 0") from error
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise from_os_error(error, f"port {port}") from error
        cause = f"this server cannot listen at {host}, port {port}: {error.strerror or error}"
        raise InvalidConfigError(cause) from error


def raise_descriptor_limit() -> int:
    """Allow as many connections as the system lets us, up to MAX_CONNECTIONS, and return how many that is."""
    allowed = allow_descriptors(MAX_CONNECTIONS + SPARE_DESCRIPTORS)
    return max(1, min(MAX_CONNECTIONS, allowed - SPARE_DESCRIPTORS))


def make_server(app: ASGIApp, *, on_stop: Callable[[], None]) -> Server:
    # A malformed request is worth no line of output; an error of ours is.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=raise_descriptor_limit(),
            timeout_graceful_shutdown=GRACE_S,
        ),
        on_stop=on_stop,
    )
