"""Joins the parts to one application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from semilla.errors import SemillaError
from semilla.server.api import Api, ClientGoneError, Limits, show_error
from semilla.server.errors import RequestError
from semilla.server.guard import Access, Guard
from semilla.server.library import Library
from semilla.server.models import Models
from semilla.server.scheduler import Scheduler
from semilla.server.site import Site, show_page_error

ERRORS = (RequestError, HTTPException, ClientGoneError, SemillaError, Exception)


def make_app(folders: Sequence[Path], *, access: Access, limits: Limits) -> Starlette:
    """The application that serves the runs and models below ``folders``."""
    library = Library(folders)
    api, site = Api(Models(library), Scheduler(), limits), Site(library, access, limits)
    app = Starlette(
        routes=[*api.list_routes(), *site.list_routes()],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers=dict.fromkeys(ERRORS, show_any_error),
    )
    app.state.scheduler, app.state.follower = api.scheduler, site.follower
    return app


async def show_any_error(request: Request, error: Exception) -> Response:
    """A page for a person, and JSON for a program."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page or request.url.path.startswith("/v1/") or isinstance(error, ClientGoneError):
        return await show_error(request, error)
    if isinstance(error, HTTPException):
        error = RequestError(error.status_code, "there is nothing at this address")
    return show_page_error(error)
