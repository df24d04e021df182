"""The request and the answers of ``/v1/completions``, in the form of the API."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from semilla import __version__
from semilla.runtime.bundle import SettingChanges
from semilla.runtime.session import Model
from semilla.server.errors import RequestError
from semilla.server.generation import Choice, Piece, TokenScore

MAX_CHOICES = 16
"""Prompts times ``n``."""
MAX_STOPS, MAX_STOP_CHARACTERS = 16, 200
MAX_LOGPROBS = 5
LEAST_TOP_P = 1e-6

StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]


class StreamOptions(BaseModel):
    include_usage: bool = False


class CompletionRequest(BaseModel):
    """The parameters that are read. Others are ignored, because clients of other servers send many of their own."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str | None = None
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=MAX_CHOICES)] = ""
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    n: int | None = Field(default=None, ge=1, le=MAX_CHOICES)
    stop: StopText | Annotated[list[StopText], Field(max_length=MAX_STOPS)] | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**63 - MAX_CHOICES)
    logprobs: int | None = Field(default=None, ge=0, le=MAX_LOGPROBS)
    echo: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: float | None = Field(default=None, ge=0, le=0)
    frequency_penalty: float | None = Field(default=None, ge=0, le=0)
    best_of: int | None = None
    suffix: Literal["", None] = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def includes_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def list_changes(self) -> SettingChanges:
        """The settings of generation that the request gives; the model's own stay for the others."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        top_p = LEAST_TOP_P if self.top_p == 0 else self.top_p  # others take 0 as the likeliest token
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": top_p,
            "repetition_penalty": self.repetition_penalty,
            "stop": stop,
        }


def read_request(body: bytes) -> CompletionRequest:
    """Parse a request; raises RequestError that names the parameter."""
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the request is no JSON: {str(error)[:200]}") from None
    if not isinstance(content, dict):
        raise RequestError(400, "the request must be a JSON object")
    try:
        return CompletionRequest.model_validate(content)
    except ValidationError as error:
        raise _describe_mistake(error) from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


def _describe_mistake(error: ValidationError) -> RequestError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else None
    neutral = {"presence_penalty", "frequency_penalty", "suffix", "logit_bias"}
    if name in neutral:
        return RequestError(
            400, f"{name} is not supported; leave it out", param=name, code="unsupported_parameter"
        )
    if name == "prompt":
        message = f"prompt must be a text, or a list of 1 to {MAX_CHOICES} texts; tokens are not taken"
        return RequestError(400, message, param=name)
    return RequestError(400, f"{name}: {first['msg']}", param=name)


def list_choices(request: CompletionRequest, model: Model, *, max_tokens: int) -> list[Choice]:
    """The texts to write; the seed of the second text of a prompt is one higher than that of the first, and so on.

    Raises RequestError when the request asks for too much, and InvalidConfigError for a setting out of range.
    """
    count = request.n or 1
    if request.best_of not in {None, 0, count}:
        raise RequestError(
            400, "best_of is not supported; leave it out", param="best_of", code="unsupported_parameter"
        )
    if len(request.prompts) * count > MAX_CHOICES:
        raise RequestError(400, f"prompts times n must be at most {MAX_CHOICES}", param="n")
    if request.max_tokens and request.max_tokens > max_tokens:
        message = f"max_tokens = {request.max_tokens}: this server writes at most {max_tokens} tokens a text"
        raise RequestError(400, message, param="max_tokens")
    settings = model.bundle.settings.change(**request.list_changes())
    settings = settings.change(max_tokens=min(settings.max_tokens, max_tokens))
    return [
        Choice(
            index=place * count + number,
            prompt=prompt,
            seed=None if request.seed is None else request.seed + number,
            settings=settings,
            num_logprobs=request.logprobs,
            echo=bool(request.echo),
            is_first=number == 0,
        )
        for place, prompt in enumerate(request.prompts)
        for number in range(count)
    ]


class Answer:
    """Builds the answers to one request: the whole one, or the chunks of a stream."""

    def __init__(self, model_name: str) -> None:
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model_name,
            "system_fingerprint": f"semilla-{__version__}",
        }
        self._lengths: dict[int, int] = {}
        self.num_tokens: dict[int, int] = {}

    def describe_pieces(self, pieces: Sequence[Piece]) -> Iterator[dict[str, Any]]:
        """Yield a chunk of the stream for each piece that says something."""
        for piece in pieces:
            self.num_tokens[piece.index] = piece.num_tokens
            if piece.says_something:
                yield {**self._head, "choices": [self._describe_choice(piece)]}

    def describe_usage(self, num_prompt_tokens: int) -> dict[str, Any]:
        """The last chunk of a stream, for those who ask for it."""
        return {**self._head, "choices": [], "usage": self._count(num_prompt_tokens)}

    def describe_all(self, pieces: Sequence[Piece], num_prompt_tokens: int) -> dict[str, Any]:
        choices: dict[int, dict[str, Any]] = {}
        for chunk in self.describe_pieces(pieces):
            (choice,) = chunk["choices"]
            known = choices.setdefault(choice["index"], {**choice, "text": "", "logprobs": None})
            known["text"] += choice["text"]
            known["finish_reason"] = choice["finish_reason"]
            if choice["logprobs"]:
                known["logprobs"] = _join(known["logprobs"], choice["logprobs"])
        return {**self._head, "choices": list(choices.values()), "usage": self._count(num_prompt_tokens)}

    def _describe_choice(self, piece: Piece) -> dict[str, Any]:
        start = self._lengths.get(piece.index, 0)
        self._lengths[piece.index] = start + len(piece.text)
        return {
            "index": piece.index,
            "text": piece.text,
            "logprobs": _describe_scores(piece.scores, start) if piece.scores else None,
            "finish_reason": piece.finish,
        }

    def _count(self, num_prompt_tokens: int) -> dict[str, int]:
        written = sum(self.num_tokens.values())
        return {
            "prompt_tokens": num_prompt_tokens,
            "completion_tokens": written,
            "total_tokens": num_prompt_tokens + written,
        }


def _describe_scores(scores: Sequence[TokenScore], start: int) -> dict[str, list[Any]]:
    offsets = [start]
    for score in scores[:-1]:
        offsets.append(offsets[-1] + len(score.text))
    return {
        "tokens": [score.text for score in scores],
        "token_logprobs": [score.logprob for score in scores],
        "top_logprobs": [dict(score.top) for score in scores],
        "text_offset": offsets,
    }


def _join(known: dict[str, list[Any]] | None, more: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return more if known is None else {key: known[key] + values for key, values in more.items()}
