"""The guard lets in the programs and pages of this machine, and clients that have the token."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import Served, serve
from starlette.datastructures import Headers

from semilla.errors import InvalidConfigError
from semilla.server.guard import Access, choose_token, is_foreign, is_loopback

TOKEN = "a-token-of-enough-characters"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:9000", "[::1]:80", "127.0.0.1:8000"])
def test_the_own_names_of_this_machine_are_allowed(served: Served, host: str) -> None:
    """With any port: a tunnel may use another."""
    assert served.ask("/health", headers={"Host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.7", "", "[::1", "a:b:c"],
)
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/"])
def test_other_names_are_refused(served: Served, host: str, path: str) -> None:
    """A page whose name was pointed at this machine (DNS rebinding) sends that name."""
    status, answer = served.ask_json(path, headers={"Host": host})
    assert (status, answer["error"]["code"]) == (403, "wrong_host")


def test_a_request_without_a_host_or_with_two_is_refused(served: Served) -> None:
    assert served.send(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403")
    twice = b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    assert served.send(twice).split(b" ", 2)[1] in {b"400", b"403"}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_pages_of_other_origins_are_refused(served: Served, origin: str) -> None:
    """Also another port of this machine, and a page in a sandbox."""
    for path, body in (("/v1/models", None), ("/v1/completions", {"prompt": ""})):
        status, answer = served.ask_json(path, body, headers={"Origin": origin})
        assert (status, answer["error"]["code"]) == (403, "wrong_origin")
    assert served.ask("/v1/models", headers={"Origin": served.url})[0] == 200


@pytest.mark.parametrize(
    ("method", "mode", "destination", "is_api", "is_refused"),
    [
        ("GET", "navigate", "document", False, False),
        ("GET", "navigate", "iframe", False, True),
        ("GET", "navigate", "document", True, True),
        ("POST", "navigate", "document", False, True),
        ("GET", "no-cors", "image", False, True),
        ("GET", "no-cors", "script", True, True),
    ],
)
def test_other_sites_may_link_to_pages_and_nothing_else(
    method: str, mode: str, destination: str, is_api: bool, is_refused: bool
) -> None:
    headers = {
        "host": "h",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": mode,
        "sec-fetch-dest": destination,
    }
    assert is_foreign(method, Headers(headers), is_api=is_api) is is_refused


def test_every_answer_has_the_headers_that_browsers_obey(served: Served) -> None:
    """Also errors and refusals."""
    for path, headers in (("/health", {}), ("/nothing", {}), ("/health", {"Host": "evil.example"})):
        found = served.ask(path, headers=headers)[1]
        assert "script-src 'self'" in found["Content-Security-Policy"]
        assert "unsafe" not in found["Content-Security-Policy"]
        assert found["X-Content-Type-Options"] == "nosniff"
        assert found["Cross-Origin-Resource-Policy"] == "same-origin"
        assert found["X-Frame-Options"] == "DENY"
        assert "Access-Control-Allow-Origin" not in found
        assert "Server" not in found


def test_with_a_token_nothing_works_without_it(models_dir: Path) -> None:
    """But the sign of life; the scheme is Bearer, as the API's clients send it."""
    with serve(models_dir, access=Access("0.0.0.0", TOKEN)) as served:
        assert served.ask("/health")[0] == 200
        for given in ("", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer ñ"):
            status, answer = served.ask_json(
                "/v1/models", headers={"Authorization": given.encode().decode("latin-1")}
            )
            assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        for scheme in ("Bearer", "bearer"):
            assert served.ask("/v1/models", headers={"Authorization": f"{scheme} {TOKEN}"})[0] == 200
        # An address cannot be pointed elsewhere, so others may use it as the host; a name can.
        allowed = {"Authorization": f"Bearer {TOKEN}"}
        assert served.ask("/v1/models", headers={"Host": "192.168.1.7:80", **allowed})[0] == 200
        assert served.ask("/v1/models", headers={"Host": "evil.example", **allowed})[0] == 403


def test_a_token_is_needed_beyond_this_machine() -> None:
    """It comes from the environment or is made up; a short one is refused."""
    assert choose_token("127.0.0.1", {}) == (None, False)
    assert choose_token("localhost", {"SERVE_TOKEN": TOKEN}) == (TOKEN, False)
    tokens = {choose_token("0.0.0.0", {}) for _ in range(3)}
    assert len(tokens) == 3
    assert all(is_new and token and len(token) >= 32 for token, is_new in tokens)
    for given in ("short", "ñ" * 20, "a token with spaces"):
        with pytest.raises(InvalidConfigError, match="SERVE_TOKEN"):
            choose_token("0.0.0.0", {"SERVE_TOKEN": given})


def test_loopback_is_what_only_this_machine_reaches() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "127.0.0.9", "0.0.0.0", "::", "10.0.0.1")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    with pytest.raises(InvalidConfigError, match="no such address"):
        is_loopback("no such name")
