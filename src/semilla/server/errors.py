"""Errors in the form of the API: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

import json
import logging
from typing import Any

from starlette.responses import Response

from semilla.errors import (
    IncompatibleError,
    IntegrityError,
    InvalidConfigError,
    SemillaError,
    translate_error,
)

logger = logging.getLogger("semilla.server")

RETRY_AFTER_S = 5


class RequestError(Exception):
    """A refusal with its HTTP status. ``param`` is the parameter that is wrong, if one is."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def describe(self) -> dict[str, Any]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {
            "error": {"message": self.message, "type": kind, "param": self.param, "code": self.code},
        }


class JsonResponse(Response):
    """JSON in ASCII: whatever a prompt or a name contains, its bytes are valid and cannot be read as HTML."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dump(content)


def dump(content: Any) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def answer(problem: RequestError) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if problem.status in {429, 503} else {}
    if problem.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return JsonResponse(problem.describe(), status_code=problem.status, headers=headers)


def translate_request_error(error: Exception) -> RequestError:
    """The refusal for any error. What is wrong with files is logged here; clients do not learn paths."""
    if isinstance(error, RequestError):
        return error
    ours = translate_error(error)
    if isinstance(ours, InvalidConfigError) and ours.mistakes:
        return RequestError(400, str(ours.mistakes[0]), param=ours.mistakes[0].field)
    return _hide_details(ours, error)


def _hide_details(ours: SemillaError, error: Exception) -> RequestError:
    logger.error("%s: %s", ours.category, ours.message, exc_info=None if error is ours else error)
    if isinstance(ours, IntegrityError | IncompatibleError):
        message = "its files are damaged or belong to another version of Semilla"
        return RequestError(500, message, param="model", code=ours.category)
    return RequestError(500, "the server failed; its own output says why", code=ours.category)
