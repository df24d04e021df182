"""Serves reports and model pages: whole documents with scripts of their own, which the site does not trust.

Such a page runs in a sandbox, with an origin that equals no other: it can neither read the site nor send it requests.
Its scripts and styles are those whose hashes its own policy lists, and it can load and send nothing.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from semilla.records.disk import open_own
from semilla.server.errors import RequestError

MAX_PAGE_BYTES = 256 * 2**20
NOTHING = "'none'"
_HEAD_CHARACTERS = 10_000
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
_HASH = re.compile(r"'sha256-[A-Za-z0-9+/]{43}='")


def show_document(page: str) -> Response:
    return HTMLResponse(
        page.encode("utf-8", "replace"), headers={"Content-Security-Policy": write_policy(page)}
    )


def write_policy(page: str) -> str:
    """The policy to send with a document; without a policy of its own it has no scripts and no styles."""
    found = _POLICY.search(page[:_HEAD_CHARACTERS])
    own = html.unescape(found[1]) if found else ""
    listed = {
        name: " ".join(_HASH.findall(sources)) or NOTHING
        for name, _, sources in (one.strip().partition(" ") for one in own.split(";"))
    }
    allowed = "; ".join(f"{name} {listed.get(name, NOTHING)}" for name in ("script-src", "style-src"))
    return (
        f"sandbox allow-scripts allow-modals; default-src 'none'; {allowed}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def read_page(path: Path) -> str:
    """Read a page that a run left; raises RequestError when it is not there, or is a link."""
    try:
        with open(path, "rb", opener=open_own) as file:
            content = file.read(MAX_PAGE_BYTES + 1)
    except OSError as error:
        raise RequestError(404, "this run has no such page", code="not_found") from error
    if len(content) > MAX_PAGE_BYTES:
        raise RequestError(404, "this page is too large", code="not_found")
    return content.decode("utf-8", "replace")
