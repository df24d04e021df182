"""A loopback HTTP server that misbehaves on request, written on raw sockets so that it can send anything."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

Reply = Callable[[socket.socket], None]
"""Answers one request on an open connection; the server closes it afterwards."""


class LoopbackServer:
    """Serves scripted replies: the nth request for a path gets the nth reply, later requests the last.

    Other paths get ``otherwise``. ``requests`` lists the requested paths, ``heads`` the raw request headers.
    """

    def __init__(
        self,
        routes: Mapping[str, Reply | Sequence[Reply]] | None = None,
        *,
        folder: Path | None = None,
        otherwise: Reply | None = None,
        address: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.routes = {
            path: [replies] if callable(replies) else list(replies)
            for path, replies in (routes or {}).items()
        }
        self.folder = folder
        self.otherwise = otherwise or send(b"there is nothing here", status="404 Not Found")
        self.requests: list[str] = []
        self.heads: list[bytes] = []
        self.tls = tls
        self._listener = socket.create_server((address, 0))
        self._address, self._port = self._listener.getsockname()[:2]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self._address}:{self._port}"

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown wakes the accepting thread, which close alone does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(4096)
                if not received:
                    return
                head += received
            path = head.split(b" ")[1].decode("latin-1")
            self.heads.append(head)
            self.requests.append(path)
            self._choose(path)(connection)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)

    def _choose(self, path: str) -> Reply:
        replies = self.routes.get(path)
        if replies:
            return replies[min(self.requests.count(path), len(replies)) - 1]
        file = self.folder / path.lstrip("/") if self.folder else None
        return send(file.read_bytes()) if file and file.is_file() else self.otherwise


def send(
    body: bytes,
    *,
    status: str = "200 OK",
    headers: Mapping[str, str] | None = None,
    content_type: str = "text/plain; charset=utf-8",
    length: int | None = None,
) -> Reply:
    """Answer with a body; ``length`` is the Content-Length, by default the true one."""
    fields = {
        "Content-Type": content_type,
        "Content-Length": str(len(body) if length is None else length),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return send_raw(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)


def send_raw(data: bytes) -> Reply:
    """Answer with exactly these bytes."""
    return lambda connection: connection.sendall(data)


def redirect(location: str, *, status: str = "302 Found") -> Reply:
    return send(b"", status=status, headers={"Location": location})


def stall(connection: socket.socket) -> None:
    """Accept the request and never answer."""
    with suppress(OSError):
        connection.recv(1)


def dribble(data: bytes, *, pause_s: float = 0.02, prefix: bytes = b"") -> Reply:
    """Send ``prefix`` at once, then ``data`` repeatedly, a byte at a time, without end."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(prefix)
        while True:
            for byte in data:
                connection.sendall(bytes([byte]))
                time.sleep(pause_s)

    return reply


def send_endlessly(prefix: bytes, piece: bytes) -> Reply:
    """Send ``prefix``, then ``piece`` as fast as it is read, without end."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(prefix)
        while True:
            connection.sendall(piece)

    return reply


def find_closed_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
