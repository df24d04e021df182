"""Lets in who may come in: checks host, origin and token of every request, and sends the headers that browsers obey.

A page on the web can make a visitor's browser send requests to servers on the visitor's machine: under its own name
(cross-site requests, which browsers mark), or under a name that it points at this machine (DNS rebinding, which the
Host header shows).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semilla.errors import InvalidConfigError
from semilla.server.errors import RequestError, answer

TOKEN_VARIABLE = "SERVE_TOKEN"  # noqa: S105 - the variable's name
LEAST_TOKEN_CHARACTERS = 16
COOKIE = "semilla"
SIGN_IN = "/sign-in"
OPEN_PATHS = {SIGN_IN, "/health"}
OPEN_FOLDER = "/assets/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The content security policy of the site's own pages: no inline script or style, and nothing from elsewhere."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
}
"""Sent with every answer that does not say otherwise."""


@dataclass(frozen=True)
class Access:
    """Who may come in: the names this server answers to, and the token, if one is needed."""

    host: str
    token: str | None = None

    @property
    def cookie(self) -> str:
        """What a signed-in browser sends. It follows from the token, but does not give it away."""
        return hmac.new((self.token or "").encode(), b"semilla site", hashlib.sha256).hexdigest()

    def allows_host(self, host: str) -> bool:
        """Whether a request may name this host: an address cannot be pointed elsewhere, a name can."""
        name = split_port(host)
        if name in {"localhost", self.host.lower()}:
            return True
        try:
            is_bracketed = name.startswith("[") and name.endswith("]")
            address = ipaddress.ip_address(name[1:-1] if is_bracketed else name)
        except ValueError:
            own = socket.gethostname().lower()
            return not is_loopback(self.host) and name in {own, f"{own}.local"}
        return address.is_loopback or not is_loopback(self.host)

    def knows(self, headers: Headers) -> bool:
        """Whether a request has the token, or the cookie of a browser that signed in with it."""
        if self.token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and is_same(given.strip(), self.token):
            return True
        return is_same(read_cookie(headers.get("cookie", "")), self.cookie)


class Guard:
    """Middleware that asks ``access`` before anything else happens."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refuse(scope, Headers(scope=scope))
        await (refusal or self.app)(scope, receive, send_guarded)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        path: str = scope["path"]
        host = headers.getlist("host")
        if len(host) != 1 or not self.access.allows_host(host[0]):
            return answer(
                RequestError(403, "this server does not answer to that host name", code="wrong_host")
            )
        if is_foreign(scope["method"], headers, is_api=path.startswith("/v1/")):
            return answer(RequestError(403, "requests from other sites are refused", code="wrong_origin"))
        if path in OPEN_PATHS or path.startswith(OPEN_FOLDER) or self.access.knows(headers):
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse(SIGN_IN, status_code=303)
        message = "this server needs its token: Authorization: Bearer TOKEN"
        return answer(RequestError(401, message, code="invalid_api_key"))


def is_foreign(method: str, headers: Headers, *, is_api: bool) -> bool:
    """Whether a browser sends this request for a page of another site. A plain link to a page of ours is none."""
    origin = headers.get("origin")
    if origin is not None and origin not in {f"{scheme}://{headers['host']}" for scheme in ("http", "https")}:
        return True
    if headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
        return False
    is_link = method == "GET" and not is_api and headers.get("sec-fetch-mode") == "navigate"
    return not (is_link and headers.get("sec-fetch-dest") == "document")


def is_same(given: str, expected: str) -> bool:
    """Compare without telling by the time how much is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def read_cookie(header: str) -> str:
    try:
        cookie = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def split_port(host: str) -> str:
    """A Host header without its port, in lower case; an address in brackets keeps them."""
    name, _, rest = host.lower().rpartition(":")
    return name if name and rest.isdigit() and (not name.count(":") or name.endswith("]")) else host.lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address or a name. Raises InvalidConfigError for an unknown name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InvalidConfigError(f"--host {host}: there is no such address: {error}") from error
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def choose_token(host: str, environment: Mapping[str, str]) -> tuple[str | None, bool]:
    """The token, and whether it was made up here. On loopback none is needed, unless the environment has one."""
    given = environment.get(TOKEN_VARIABLE, "")
    if given:
        if (
            len(given) < LEAST_TOKEN_CHARACTERS
            or not (given.isascii() and given.isprintable())
            or " " in given
        ):
            cause = f"must be at least {LEAST_TOKEN_CHARACTERS} printable ASCII characters without spaces"
            raise InvalidConfigError(f"{TOKEN_VARIABLE} {cause}", next_command="semilla serve --help")
        return given, False
    return (None, False) if is_loopback(host) else (secrets.token_urlsafe(24), True)
