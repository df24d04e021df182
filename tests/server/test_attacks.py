"""Whatever is sent, the server goes on serving."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from serving import Served, serve

from semilla.runtime.bundle import MODEL
from semilla.server.api import MAX_BODY_BYTES

NUM_CLIENTS = 500
PATHS = [
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/assets/../../../etc/passwd",
    "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/v1/models/..%2f..%2fetc%2fpasswd",
    "/v1/models//etc/passwd",
    "/v1/models/river/bundle.json",
    "/v1/models/%00",
    "/v1/models/%ff%fe",
]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 30_000,
    b'{"prompt": NaN}',
    b'{"temperature": 1e999}',
    b'{"max_tokens": ' + b"9" * 5000 + b"}",
    b'{"model": "../river", "prompt": ""}',
    b'{"model": "river", "prompt": {"a": 1}}',
    b'{"model": "river", "prompt": "\\ud800"}',
    b'{"model": ["river"], "prompt": ""}',
]


def is_alive(served: Served) -> bool:
    request = {"model": "river", "prompt": "She", "max_tokens": 2}
    return served.ask("/health")[0] == 200 and served.ask("/v1/completions", request)[0] == 200


def write_malformed(host: str, *, count: int, seed: int) -> Iterator[bytes]:
    """Requests with a broken head, an odd path, a broken body or pure noise, by turns."""
    draw = random.Random(seed)
    for number in range(count):
        head = f"Host: {host}\r\n"
        match number % 6:
            case 0:
                yield draw.randbytes(draw.randint(1, 400))
            case 1:
                yield f"GET {draw.choice(PATHS)} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode()
            case 2:
                body = draw.choice(BODIES)
                length = len(body) + draw.choice([0, 0, 1, -1])
                yield (
                    f"POST /v1/completions HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n".encode() + body
                )
            case 3:
                yield f"GET / HTTP/{draw.choice(['9', '1.1.1', '', 'x'])}\r\n{head}\r\n".encode()
            case 4:
                chunk = draw.choice([b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\n", b"5\r\nab"])
                start = f"POST /v1/completions HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
                yield start.encode() + chunk
            case _:
                # No line feed: two of them end the head, and what came before may be well formed.
                line = draw.randbytes(draw.randint(1, 200)).replace(b"\n", b"") + b"\0"
                yield f"GET / HTTP/1.1\r\n{head}X: ".encode() + line + b"\r\n\r\n"


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_broken_bodies_are_refused_in_the_form_of_the_api(served: Served, body: bytes) -> None:
    status, answer = served.ask_json("/v1/completions", body)
    assert status in {400, 404}
    assert answer["error"]["message"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_a_file(served: Served, path: str) -> None:
    """Neither out of the folders nor to a file in them."""
    status, _, body = served.ask(path)
    assert status == 404
    assert b"root:" not in body


@pytest.mark.parametrize(
    "count", [240, pytest.param(10_000, marks=pytest.mark.slow(reason="opens ten thousand connections"))]
)
def test_malformed_requests_leave_it_serving(served: Served, count: int) -> None:
    for request in write_malformed(served.host, count=count, seed=count):
        answer = served.send(request)
        assert not answer or answer.startswith(b"HTTP/1.1 4"), request
    assert is_alive(served)


def test_five_hundred_clients_at_once_are_served(served: Served) -> None:
    """All are connected, and all have asked, before the first reads its answer."""
    body = json.dumps({"model": "river", "prompt": "She", "max_tokens": 3}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {served.host}\r\nConnection: close\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with ExitStack() as stack:
        clients = [stack.enter_context(served.connect()) for _ in range(NUM_CLIENTS)]
        for client in clients:
            client.sendall(request)
        for client in clients:
            answer = b"".join(iter(lambda client=client: client.recv(65536), b""))  # type: ignore[misc]
            assert answer.startswith(b"HTTP/1.1 200"), answer
    assert is_alive(served)


def test_clients_that_say_nothing_keep_nobody_out(served: Served) -> None:
    """Hundreds of open connections, silent or in the middle of a head."""
    with ExitStack() as stack:
        for number in range(300):
            client = stack.enter_context(served.connect())
            if number % 2:
                client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: ")
        assert is_alive(served)


def test_large_requests_are_refused(served: Served) -> None:
    """Whether they say how large they are, or come in chunks; a long head as well."""
    large = json.dumps({"model": "river", "prompt": "a" * MAX_BODY_BYTES}).encode()
    status, answer = served.ask_json("/v1/completions", large)
    assert (status, answer["error"]["code"]) == (413, "too_large")
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {served.host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    assert served.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large)).startswith(b"HTTP/1.1 413")
    long_head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"
    assert not served.send(long_head).startswith(b"HTTP/1.1 2")
    assert is_alive(served)


def test_a_damaged_model_is_an_error_and_no_path_is_told(models_dir: Path, tmp_path: Path) -> None:
    """The other models go on; the server's own output has the details."""
    shutil.copytree(models_dir, tmp_path / "copy")
    damaged = tmp_path / "copy" / "tree" / MODEL
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with serve(tmp_path / "copy") as served:
        status, answer = served.ask_json("/v1/completions", {"model": "tree", "prompt": ""})
        assert (status, answer["error"]["code"]) == (500, "integrity")
        assert str(tmp_path) not in json.dumps(answer)
        assert is_alive(served)


def test_links_out_of_the_folder_are_not_followed(models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "link").symlink_to(models_dir, target_is_directory=True)
    (tmp_path / "shown" / "bundle").symlink_to(models_dir / "river")
    with serve(tmp_path / "shown") as served:
        assert served.ask_json("/v1/models")[1]["data"] == []


def test_markup_in_names_and_prompts_stays_text(tmp_path: Path, models_dir: Path) -> None:
    """Answers are JSON in ASCII, whatever a folder or a prompt is called."""
    attack = "<script>alert(1)<|>"
    shutil.copytree(models_dir / "river", tmp_path / attack)
    with serve(tmp_path) as served:
        request = {"model": attack, "prompt": attack, "echo": True, "max_tokens": 2}
        status, headers, body = served.ask("/v1/completions", request)
        assert (status, headers.get_content_type()) == (200, "application/json")
        assert json.loads(body)["choices"][0]["text"].startswith(attack)
        assert headers["X-Content-Type-Options"] == "nosniff"
