"""A server of ours in a thread of this process, on a free port; raw requests to it, which no client would send."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semilla.server.api import Limits
from semilla.server.app import make_app
from semilla.server.connections import make_server, open_socket
from semilla.server.guard import Access
from semilla.server.scheduler import Scheduler

TIMEOUT_S = 60


@dataclass(frozen=True)
class Served:
    port: int
    scheduler: Scheduler

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def send(self, data: bytes) -> bytes:
        """Everything that the server answers to these bytes until it closes the connection."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b""))
            except ConnectionError:
                return b""

    def ask(
        self, path: str, body: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of the answer; a ``body`` that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method or ("GET" if body is None else "POST"), path, data, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask_json(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        status, _, content = self.ask(path, body, **options)
        return status, json.loads(content)


@contextmanager
def serve(*folders: Path, access: Access | None = None, limits: Limits | None = None) -> Iterator[Served]:
    with open_socket("127.0.0.1", 0) as listening:
        app = make_app(folders, access=access or Access("127.0.0.1"), limits=limits or Limits())
        server = make_server(app, on_stop=app.state.follower.close)
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Served(port, app.state.scheduler)
        finally:
            server.stop()
            thread.join()
            app.state.scheduler.close()


def wait_until(condition: Any) -> None:
    """Wait for something that comes sooner or later; it fails only if it never does."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
