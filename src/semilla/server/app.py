"""Joins the parts to one application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from semilla.errors import SemillaError
from semilla.server.api import Api, ClientGoneError, Limits, show_error
from semilla.server.errors import RequestError
from semilla.server.guard import Access, Guard
from semilla.server.library import Library
from semilla.server.models import Models
from semilla.server.scheduler import Scheduler

ERRORS = (RequestError, HTTPException, ClientGoneError, SemillaError, Exception)


def make_app(folders: Sequence[Path], *, access: Access, limits: Limits) -> Starlette:
    """The application that serves the runs and models below ``folders``."""
    api = Api(Models(Library(folders)), Scheduler(), limits)
    app = Starlette(
        routes=api.list_routes(),
        middleware=[Middleware(Guard, access=access)],
        exception_handlers=dict.fromkeys(ERRORS, show_error),
    )
    app.state.scheduler = api.scheduler
    return app
