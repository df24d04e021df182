"""A stand-in for the Hugging Face Hub on the loopback interface: the requests of a push, and nothing else.

It keeps repositories in memory, asks for a token, and checks the hash and the size of every large file that it gets.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

COMMIT = "c0ffee" * 6 + "abcd"


@dataclass
class Repository:
    is_private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


class HubStandIn:
    """A context manager. ``failures`` maps the beginning of a path to the status that it is answered with."""

    def __init__(self, *, token: str, failures: Mapping[str, int] | None = None) -> None:
        self.token = token
        self.failures = failures or {}
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        self.large: dict[str, bytes] = {}
        """Content of large files by SHA-256."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> HubStandIn:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: bytes, *, authorization: str) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        self.requests.append(f"{method} {path}")
        for beginning, status in self.failures.items():
            if path.startswith(beginning):
                return status, {"error": f"refused {authorization.removeprefix('Bearer ')}"}
        if path.startswith("/upload/"):  # like a signed address: needs no token
            self.large[path.removeprefix("/upload/")] = body
            return 200, {}
        if authorization != f"Bearer {self.token}":
            return 401, {"error": "Invalid username or password."}
        return self._route(path.strip("/").split("/"), body)

    def _route(self, parts: list[str], body: bytes) -> tuple[int, Any]:
        status, content = 200, dict[str, Any]()
        match parts:
            case ["api", "repos", "create"]:
                status, content = self._create(json.loads(body))
            case ["api", "models", owner, name] if repository := self.repositories.get(f"{owner}/{name}"):
                content = {"id": f"{owner}/{name}", "private": repository.is_private, "siblings": []}
            case ["api", "models", _, _, "preupload", "main"]:
                content = {"files": [_choose_mode(one) for one in json.loads(body)["files"]]}
            case [_, _, "info", "lfs", "objects", "batch"]:
                content = {"objects": [self._offer_upload(one) for one in json.loads(body)["objects"]]}
            case ["api", "models", owner, name, "commit", "main"]:
                content = self._commit(f"{owner}/{name}", body)
            case ["api", "validate-yaml"]:
                content = {"errors": [], "warnings": []}
            case _:
                status = 404
        return status, content

    def _create(self, wanted: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"]
        status = 409 if name in self.repositories else 200
        is_private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        self.repositories.setdefault(name, Repository(is_private))
        return status, {"url": f"{self.url}/{name}", "name": name}

    def _offer_upload(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return {**wanted, "actions": {"upload": {"href": f"{self.url}/upload/{wanted['oid']}"}}}

    def _commit(self, name: str, body: bytes) -> dict[str, Any]:
        repository = self.repositories[name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            match line["key"]:
                case "header":
                    repository.messages.append(value["summary"])
                case "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    content = self.large[value["oid"]]
                    assert hashlib.sha256(content).hexdigest() == value["oid"]
                    assert len(content) == value["size"]
                    repository.files[value["path"]] = content
        return {"commitUrl": f"{self.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT}

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                authorization = self.headers.get("Authorization", "")
                status, content = hub.answer(
                    self.command, urlsplit(self.path).path, body, authorization=authorization
                )
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = respond  # noqa: N815 - names of the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                """Say nothing."""

        return Handler


def _choose_mode(file: Mapping[str, Any]) -> dict[str, Any]:
    """Weights are large files, everything else is in the commit itself."""
    mode = "lfs" if file["path"].endswith(".safetensors") else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}
