"""The pages for people: the runs, each run as it goes on, reports, comparisons, and a page to write with a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from semilla import __version__
from semilla.errors import InvalidConfigError, SemillaError
from semilla.formatting import format_duration
from semilla.pages import open_templates
from semilla.records import names
from semilla.records.run_configuration import read_run_configuration
from semilla.report.compare import render_comparison
from semilla.report.page import render_run
from semilla.report.runs import RecordedRun, read_run
from semilla.report.verdict import judge_run
from semilla.server.api import Limits, read_body
from semilla.server.documents import read_page, show_document
from semilla.server.errors import RequestError, translate_request_error
from semilla.server.guard import COOKIE, SIGN_IN, Access, is_same
from semilla.server.library import Library
from semilla.server.live import Follower, describe_run, measure_time, read_history, read_true_status
from semilla.server.streams import EventStream

ASSETS = {"site.css": "text/css", "live.js": "text/javascript", "talk.js": "text/javascript"}
MAX_COMPARED = 8
MAX_RENDERED = 2
"""Reports that are written at the same time: each takes a core for a moment."""
MAX_FORM_BYTES = 4096
USUAL_OPENING = "Once upon a time"


@dataclass(frozen=True)
class RunRow:
    """A run in the list."""

    name: str
    state: str
    headline: str
    started: str
    spent: str
    bits_per_byte: float | None


class Site:
    def __init__(self, library: Library, access: Access, limits: Limits) -> None:
        self.library, self.access, self.limits = library, access, limits
        self.follower = Follower()
        self._renders = asyncio.Semaphore(MAX_RENDERED)

    def list_routes(self) -> list[Route]:
        return [
            Route("/", self.show_runs),
            Route("/runs/{name:path}", self.show_run),
            Route("/live/{name:path}", self.follow_run),
            Route("/reports/{name:path}", self.show_report),
            Route("/compare", self.show_comparison),
            Route("/pages/{name:path}", self.show_model_page),
            Route("/talk/{name:path}", self.show_talk),
            Route("/assets/{name}", self.show_asset),
            Route(SIGN_IN, self.show_sign_in),
            Route(SIGN_IN, self.sign_in, methods=["POST"]),
        ]

    async def show_runs(self, request: Request) -> Response:
        def read() -> list[RunRow]:
            return [describe_row(name, directory) for name, directory in self.library.look().runs.items()]

        rows = await run_in_threadpool(read)
        models = list(self.library.look().models)
        return render("runs.html.jinja", rows=rows, models=models, address=str(request.base_url))

    async def show_run(self, request: Request) -> Response:
        name, directory = self._find_run(request)
        shown = await run_in_threadpool(describe_run, directory)
        shelf = self.library.look()
        return render(
            "run.html.jinja",
            name=name,
            run=shown,
            has_model=name in shelf.models,
            has_page=(directory / names.PAGE).is_file(),
        )

    async def follow_run(self, request: Request) -> Response:
        _, directory = self._find_run(request)
        return EventStream(self.follower.follow(directory))

    async def show_report(self, request: Request) -> Response:
        _, directory = self._find_run(request)
        return await self._show_rendered(lambda: render_run(open_run(directory)))

    async def show_comparison(self, request: Request) -> Response:
        runs = self.library.look().runs
        chosen = list(dict.fromkeys(request.query_params.getlist("run")))
        if not 2 <= len(chosen) <= MAX_COMPARED:
            raise RequestError(400, f"choose 2 to {MAX_COMPARED} runs to compare")
        directories = [_find(runs, name) for name in chosen]
        try:
            return await self._show_rendered(
                lambda: render_comparison([open_run(one) for one in directories])
            )
        except InvalidConfigError as error:
            raise RequestError(400, error.message) from error

    async def _show_rendered(self, write: Callable[[], str]) -> Response:
        async with self._renders:
            return show_document(await run_in_threadpool(write))

    async def show_model_page(self, request: Request) -> Response:
        _, directory = self._find_run(request)
        return show_document(await run_in_threadpool(read_page, directory / names.PAGE))

    async def show_talk(self, request: Request) -> Response:
        shelf = self.library.look()
        name = request.path_params["name"]
        _find(shelf.models, name)
        openings = await run_in_threadpool(list_openings, shelf.runs.get(name))
        return render("talk.html.jinja", name=name, openings=openings, max_tokens=self.limits.max_tokens)

    async def show_asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in {*ASSETS, "report.css"}:
            raise RequestError(404, "there is no such file", code="not_found")
        return Response(read_asset(name), media_type=ASSETS.get(name, "text/css"))

    async def show_sign_in(self, _: Request) -> Response:
        return render("sign_in.html.jinja", is_wrong=False)

    async def sign_in(self, request: Request) -> Response:
        form = parse_qs((await read_body(request, limit=MAX_FORM_BYTES)).decode("utf-8", "replace"))
        if not is_same(form.get("token", [""])[0].strip(), self.access.token or ""):
            return render("sign_in.html.jinja", is_wrong=True, status=403)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, self.access.cookie, httponly=True, samesite="strict")
        return answer

    def _find_run(self, request: Request) -> tuple[str, Path]:
        name = request.path_params["name"]
        return name, _find(self.library.look().runs, name)


def _find(known: Mapping[str, Path], name: str) -> Path:
    if name not in known:
        raise RequestError(404, f"there is no {name[:100]!r} here", code="not_found")
    return known[name]


def describe_row(name: str, directory: Path) -> RunRow:
    try:
        status = read_true_status(directory)
        history = read_history(directory)
    except (SemillaError, RequestError) as error:
        return RunRow(name, "damaged", error.message, "", "", None)
    bits = [epoch.bits_per_byte["all"] for epoch in history if "all" in epoch.bits_per_byte]
    headline = status.current_phase.replace("_", " ")
    if status.run_state != "running":
        headline = judge_run(open_run(directory)).headline
    started = status.start_time[:16].replace("T", " ")
    spent = format_duration(measure_time(directory, status))
    return RunRow(name, status.run_state, headline, started, spent, min(bits, default=None))


def open_run(directory: Path) -> RecordedRun:
    status = read_true_status(directory)
    return read_run(directory, config=read_run_configuration(directory), status=status)


def list_openings(directory: Path | None) -> list[str]:
    """Openings to try: the prompts of the run's last samples, or the usual one."""
    try:
        history = read_history(directory) if directory else []
    except SemillaError:
        history = []
    prompts = [sample.prompt.strip() for sample in history[-1].list_samples()] if history else []
    return list(dict.fromkeys(prompt for prompt in prompts if prompt)) or [USUAL_OPENING]


def show_page_error(error: Exception) -> Response:
    found = translate_request_error(error)
    return render("error.html.jinja", status=found.status, message=found.message)


def render(template: str, *, status: int = 200, **context: Any) -> Response:
    page = environment().get_template(template)
    return HTMLResponse(page.render(version=__version__, status=status, **context), status_code=status)


@cache
def read_asset(name: str) -> bytes:
    if name == "report.css":  # the site looks like the reports
        return (files("semilla.report") / "templates" / "style.css").read_bytes()
    return (files(__package__) / "assets" / name).read_bytes()


@cache
def environment() -> jinja2.Environment:
    made = open_templates("semilla.server")
    made.filters["address"] = lambda name: quote(name, safe="/")
    return made
