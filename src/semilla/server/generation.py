"""Writes the texts of one request, one token at a time."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import numpy as np

from semilla.runtime.bundle import GenerationSettings
from semilla.runtime.context import Logits
from semilla.runtime.session import Model
from semilla.runtime.streams import TextStream
from semilla.tokenizer.tokenizer import BEGIN_ID, SPACE_MARK, UNKNOWN_ID, Tokenizer

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Choice:
    """One text to write: a prompt and its settings. ``is_first`` is true for the first text of each prompt."""

    index: int
    prompt: str
    seed: int | None
    settings: GenerationSettings
    num_logprobs: int | None = None
    echo: bool = False
    is_first: bool = True


@dataclass(frozen=True)
class TokenScore:
    """A token with its log probability, and those of the likeliest tokens, most likely first."""

    text: str
    logprob: float
    top: Sequence[tuple[str, float]] = ()


@dataclass
class Piece:
    """What one token added to a text. ``finish`` says why the text ended, and is None before its end."""

    index: int
    text: str
    scores: list[TokenScore] = field(default_factory=list)
    finish: Finish | None = None
    num_tokens: int = 0
    """Tokens of the whole text so far."""

    @property
    def says_something(self) -> bool:
        """Whether there is anything to send; often a token makes no text certain yet."""
        return bool(self.text or self.scores or self.finish)


class Texts(Iterator[Piece]):
    """The pieces of all texts of a request, which are generated together; with log probabilities, one after another.

    Once ``limit_s`` seconds have passed since the first piece, the texts that are left end with finish ``length``.
    """

    def __init__(self, model: Model, choices: Sequence[Choice], *, limit_s: float) -> None:
        self.num_prompt_tokens = 0
        """Of the prompts read so far; a prompt with several continuations counts once."""
        self._model, self._limit_s = model, limit_s
        self._pieces = self._write_all(choices)

    def __next__(self) -> Piece:
        return next(self._pieces)

    def _write_all(self, choices: Sequence[Choice]) -> Iterator[Piece]:
        deadline_s = time.monotonic() + self._limit_s
        wants_logits = choices[0].num_logprobs is not None  # of every token, which a batch does not keep
        texts = (
            self._start(choice, stream, deadline_s=deadline_s)
            for choice, stream in zip(choices, self._open(choices, wants_logits=wants_logits), strict=True)
        )
        return chain.from_iterable(texts) if wants_logits else take_turns(texts)

    def _open(self, choices: Sequence[Choice], *, wants_logits: bool) -> Iterator[TextStream]:
        changes = choices[0].settings.list_changes()
        if not wants_logits:
            prompts, seeds = [choice.prompt for choice in choices], [choice.seed for choice in choices]
            return self._model.stream_all(prompts, seeds=seeds, **changes)
        return (
            self._model.stream(choice.prompt, seed=choice.seed, keeps_logits=True, **changes)
            for choice in choices
        )

    def _start(self, choice: Choice, stream: TextStream, *, deadline_s: float) -> Iterator[Piece]:
        if choice.is_first:
            self.num_prompt_tokens += stream.num_prompt_tokens
        return _write(stream, choice, self._model.tokenizer, deadline_s=deadline_s)


def take_turns(texts: Iterable[Iterator[Piece]]) -> Iterator[Piece]:
    """Yield a piece of each text in turn until all have ended."""
    going = deque(texts)
    while going:
        text = going.popleft()
        if piece := next(text, None):
            yield piece
            going.append(text)


def _write(stream: TextStream, choice: Choice, tokenizer: Tokenizer, *, deadline_s: float) -> Iterator[Piece]:
    """Yield what each token adds to a text, and at last its finish."""
    scores: list[TokenScore] = []
    num_tokens = 0
    if choice.echo:
        yield Piece(choice.index, choice.prompt)
    while time.monotonic() < deadline_s:
        try:
            text = stream.advance()
        except StopIteration:
            break
        if choice.num_logprobs is not None and len(stream.token_ids) > num_tokens:
            scores.append(score_last(stream, tokenizer, count=choice.num_logprobs))
        num_tokens = len(stream.token_ids)
        yield Piece(choice.index, text, scores if text else [], num_tokens=num_tokens)
        if text:
            scores = []  # those whose text a stop text may still take away wait for it
    finish: Finish = "stop" if stream.ended in {"itself", "stop"} else "length"
    yield Piece(choice.index, "", [] if stream.ended == "stop" else scores, finish, num_tokens)


def score_last(stream: TextStream, tokenizer: Tokenizer, *, count: int) -> TokenScore:
    """The last token of a stream, with the log probabilities of the network: before penalty, temperature and cuts."""
    assert stream.logits is not None
    logprobs = compute_logprobs(stream.logits)
    last = stream.token_ids[-1]
    best = np.argsort(logprobs)[::-1][:count]
    top = [(write_token(tokenizer, int(token)), float(logprobs[token])) for token in best]
    return TokenScore(write_token(tokenizer, last), float(logprobs[last]), top)


def compute_logprobs(logits: Logits) -> Logits:
    """Natural logarithms of the probabilities, in float64, without the two tokens that are never chosen."""
    scores = logits.astype(np.float64)
    scores[[UNKNOWN_ID, BEGIN_ID]] = -math.inf
    scores -= scores.max()
    result: Logits = scores - np.log(np.exp(scores).sum())
    return result


def write_token(tokenizer: Tokenizer, token: int) -> str:
    r"""The text of a token; a byte that is no character alone appears as ``bytes:\xc3``, as in the API."""
    piece: str = tokenizer.processor.IdToPiece(token)
    if tokenizer.processor.IsByte(token):
        byte = int(piece[3:5], 16)
        return chr(byte) if byte < 0x80 else f"bytes:\\x{byte:02x}"
    return piece.replace(SPACE_MARK, " ")
