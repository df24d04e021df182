"""``/v1`` and ``/health``: what programs written for OpenAI's API ask of a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from semilla.runtime.bundle import DESCRIPTION
from semilla.server.completions import Answer, list_choices, read_request
from semilla.server.errors import JsonResponse, RequestError, answer, dump, translate_request_error
from semilla.server.generation import Piece, Texts
from semilla.server.models import Models
from semilla.server.scheduler import Job, Scheduler
from semilla.server.streams import EventStream

PATHS = ("/v1/models", "/v1/completions", "/health")
MAX_BODY_BYTES = 256 * 2**10
BODY_TIMEOUT_S = 20.0
"""A request must have arrived by then."""
NO_CHAT = (
    "this is no chat model: it continues a text and was not trained on dialogue. "
    "Send the text as prompt to /v1/completions"
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """What one request may use. ``limit_s`` bounds the time in the queue, and again the time of writing."""

    max_tokens: int = 2000
    limit_s: float = 60.0


class Api:
    def __init__(self, models: Models, scheduler: Scheduler, limits: Limits) -> None:
        self.models, self.scheduler, self.limits = models, scheduler, limits

    def list_routes(self) -> list[Route]:
        return [
            Route("/health", self.show_health),
            Route("/v1/models", self.list_models),
            Route("/v1/models/{name:path}", self.show_model),
            Route("/v1/completions", self.complete, methods=["POST"]),
            Route("/v1/chat/completions", self.refuse_chat, methods=["POST"]),
        ]

    async def show_health(self, _: Request) -> Response:
        return JsonResponse({"status": "ok"})

    async def list_models(self, _: Request) -> Response:
        shelf = await run_in_threadpool(self.models.library.look)
        return JsonResponse({"object": "list", "data": [self._describe(name) for name in shelf.models]})

    async def show_model(self, request: Request) -> Response:
        shelf = await run_in_threadpool(self.models.library.look)
        name = request.path_params["name"]
        if name not in shelf.models:
            raise RequestError(
                404, f"there is no model {name[:100]!r}", param="model", code="model_not_found"
            )
        return JsonResponse(self._describe(name))

    def _describe(self, name: str) -> dict[str, object]:
        path = self.models.library.look().models[name] / DESCRIPTION
        created = int(path.stat().st_mtime) if path.is_file() else 0
        return {"id": name, "object": "model", "created": created, "owned_by": "semilla"}

    async def refuse_chat(self, _: Request) -> Response:
        raise RequestError(400, NO_CHAT, param="messages", code="not_a_chat_model")

    async def complete(self, request: Request) -> Response:
        parsed = read_request(await read_body(request))
        name, model = await run_in_threadpool(self.models.choose, parsed.model)
        choices = list_choices(parsed, model, max_tokens=self.limits.max_tokens)
        texts = Texts(model, choices, limit_s=self.limits.limit_s)
        job = Job(texts, client=request.client.host if request.client else "", wait_s=self.limits.limit_s)
        self.scheduler.submit(job)
        answered, batches = Answer(name), job.batches()
        if not parsed.stream:
            pieces = await run_until_gone(request, _collect(batches))
            return JsonResponse(answered.describe_all(pieces, texts.num_prompt_tokens))
        first = await run_until_gone(request, anext(batches))  # what fails at once fails with a status
        body = write_events(first, batches, answered, texts, includes_usage=parsed.includes_usage)
        return EventStream(body, on_end=job.cancel)


async def write_events(
    first: Sequence[Piece],
    batches: AsyncIterator[Sequence[Piece]],
    answered: Answer,
    texts: Texts,
    *,
    includes_usage: bool,
) -> AsyncIterator[bytes]:
    """Yield the events of a stream; those of a batch go out together. An error in the middle is an event, too."""
    try:
        yield _join_events(answered.describe_pieces(first))
        async for pieces in batches:
            yield _join_events(answered.describe_pieces(pieces))
        if includes_usage:
            yield _join_events([answered.describe_usage(texts.num_prompt_tokens)])
        yield b"data: [DONE]\n\n"
    except Exception as error:
        yield _join_events([translate_request_error(error).describe()])


def _join_events(events: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(b"data: %s\n\n" % dump(event) for event in events)


async def _collect(batches: AsyncIterator[Sequence[Piece]]) -> list[Piece]:
    return [piece async for batch in batches for piece in batch]


async def run_until_gone(request: Request, work: Awaitable[Result]) -> Result:
    """The result of ``work``, which is cancelled when the client is gone; then ClientGoneError is raised."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_wait_until_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()


class ClientGoneError(Exception):
    """Nobody reads the answer."""


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_body(request: Request, *, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body of a request; raises RequestError when it is too large or arrives too slowly."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise RequestError(413, f"the request is larger than {limit} bytes", code="too_large")
    except TimeoutError:
        raise RequestError(
            408, f"the request did not arrive within {BODY_TIMEOUT_S:g} s", code="timeout"
        ) from None
    except ClientDisconnect:
        raise ClientGoneError from None
    return bytes(body)


async def show_error(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientGoneError):
        return Response(status_code=499)
    if isinstance(error, HTTPException):
        return answer(_describe_unknown(request, error))
    return answer(translate_request_error(error))


def _describe_unknown(request: Request, error: HTTPException) -> RequestError:
    path = request.url.path[:100]
    if error.status_code == 405:
        return RequestError(405, f"{request.method} is not possible at {path}", code="method_not_allowed")
    return RequestError(
        error.status_code, f"there is no {path}; this server has {', '.join(PATHS)}", code="not_found"
    )
