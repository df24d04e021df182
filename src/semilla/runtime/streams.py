"""The pieces of a text while it is generated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

from semilla.runtime.bundle import GenerationSettings
from semilla.runtime.context import Context, Ids, Logits
from semilla.runtime.pieces import PieceDecoder
from semilla.tokenizer.tokenizer import END_ID


class TextStream(Iterator[str]):
    """The pieces of one text as they are generated, alone (``read_from``) or beside others (``wait_for``).

    ``token_ids`` are those generated so far; beside others they may be ahead of the pieces. ``seed`` and ``settings``
    reproduce the text. ``ended`` is None until the last token is there; then it says why it is the last: ``itself``
    (the model chose the end token), ``stop`` (a stop text), or ``limit`` (``max_tokens``). ``logits`` [vocabulary] are
    those that the last token was chosen from, before penalty and temperature, if the stream keeps them; the next token
    overwrites them.
    """

    def __init__(
        self, prompt_ids: Ids, decoder: PieceDecoder, *, settings: GenerationSettings, seed: int
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.prompt_ids = prompt_ids
        self.logits: Logits | None = None
        self.token_ids: list[int] = []
        self.ended: Literal["itself", "stop", "limit"] | None = None
        self._decoder = decoder
        self._written: deque[str] = deque()
        self._pieces: Iterator[str] = iter(())

    @property
    def num_prompt_tokens(self) -> int:
        return len(self.prompt_ids)

    @property
    def ending(self) -> str:
        """How the text ended, in words."""
        limit = f"at the limit of {self.settings.max_tokens} tokens"
        return {"itself": "by itself", "stop": "at a stop text", "limit": limit}.get(
            self.ended or "", "not yet"
        )

    def __next__(self) -> str:
        while not (text := next(self._pieces)):
            pass
        return text

    def advance(self) -> str:
        """Choose at most one more token, and return the text that it makes certain; often empty.

        Raises StopIteration at the end of the text.
        """
        return next(self._pieces)

    def read_from(self, context: Context) -> None:
        """Generate with a context of its own."""
        self.logits = context.logits
        self._pieces = self._generate(context)

    def wait_for(self, advance: Callable[[], object]) -> None:
        """Have the tokens pushed by a batch, which ``advance`` lets choose one for each text that it has room for."""
        self._pieces = self._wait(advance)

    def push(self, token: int) -> None:
        """Take the next token of the text."""
        self._written.append(self._decode(token))

    def follow_space(self) -> None:
        """Leave out the space at the beginning, because the prompt ends in it."""
        self._pieces = _drop_space(self._pieces)

    def _generate(self, context: Context) -> Iterator[str]:
        context.store(self.prompt_ids)
        decode, advance = self._decode, context.advance
        while not self.ended:
            yield decode(advance())

    def _wait(self, advance: Callable[[], object]) -> Iterator[str]:
        while self._written or not self.ended:
            if not self._written:
                advance()
            yield self._written.popleft() if self._written else ""

    def _decode(self, token: int) -> str:
        """The text that is certain after ``token``, which may be the last one."""
        if token == END_ID:
            self.ended = "itself"
            return self._decoder.finish()
        self.token_ids.append(token)
        text = self._decoder.push(token)
        if self._decoder.is_stopped:
            self.ended = "stop"
        elif len(self.token_ids) >= self.settings.max_tokens:
            self.ended = "limit"
            text += self._decoder.finish()
        return text


def _drop_space(pieces: Iterator[str]) -> Iterator[str]:
    for text in pieces:
        yield text.removeprefix(" ")
        if text:
            break
    yield from pieces
