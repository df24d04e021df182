"""A finished model in memory: text in, text out."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from random import Random
from typing import Literal, Unpack

import numpy as np

from semilla.errors import IncompatibleError, InvalidConfigError, Mistake
from semilla.runtime.bundle import Bundle, GenerationSettings, SettingChanges, read_bundle
from semilla.runtime.context import GREEDY, Context, Ids, Logits
from semilla.runtime.network import Network
from semilla.runtime.pieces import PieceDecoder
from semilla.tokenizer.tokenizer import END_ID, read_tokenizer


def load(path: str | PathLike[str], *, num_threads: int = 1) -> Model:
    """Load the model of a bundle, or of a run's output directory.

    Raises the errors of ``semilla.runtime.bundle.read_bundle``, and IncompatibleError when the files do not belong
    together.
    """
    return Model(read_bundle(Path(path).expanduser()), num_threads=num_threads)


class Model:
    """Generates text. Streams share no mutable state, so several threads may each read one at the same time."""

    def __init__(self, bundle: Bundle, *, num_threads: int = 1) -> None:
        self.bundle = bundle
        self.tokenizer = read_tokenizer(bundle.tokenizer_path)
        found, expected = self.tokenizer.vocab_size, bundle.model["vocab_size"]
        if found != expected:
            raise IncompatibleError(f"the tokenizer has {found} pieces, the model {expected}")
        self._network = Network(bundle, num_threads=num_threads)
        self._texts: dict[int, str] = {}

    @property
    def capacity(self) -> int:
        """Context length in tokens."""
        return self._network.capacity

    def generate(
        self, prompt: str = "", *, seed: int | None = None, **changes: Unpack[SettingChanges]
    ) -> str:
        """Continue ``prompt``, without repeating it, or start a paragraph.

        The same seed gives the same text, on the same kind of processor.
        """
        return "".join(self.stream(prompt, seed=seed, **changes))

    def stream(
        self,
        prompt: str = "",
        *,
        seed: int | None = None,
        keeps_logits: bool = False,
        **changes: Unpack[SettingChanges],
    ) -> TextStream:
        """Generate like ``generate``, piece by piece; each piece consists of whole characters.

        Without ``seed`` a random one is drawn; the stream has it as ``seed``. With ``keeps_logits`` it also has the
        logits of its last token. Raises InvalidConfigError for settings out of range.
        """
        settings = self.bundle.settings.change(**changes)
        seed = int.from_bytes(os.urandom(8)) >> 1 if seed is None else seed
        if not 0 <= seed < 2**63:
            mistake = Mistake("seed", seed, "must be 0 to 2**63 - 1")
            raise InvalidConfigError("no such seed:", mistakes=[mistake])
        context = self.open_context(settings, seed=seed, keeps_logits=keeps_logits)
        stream = TextStream(self, context, self.encode(prompt), settings=settings, seed=seed)
        return stream.follow_space() if self.open_word(prompt) != prompt else stream

    def encode(self, prompt: str) -> Ids:
        """Token ids of a prompt, after the ids that start a text.

        Spaces at its end are left out where they would begin the next word: the training text has no such tokens.
        """
        # Undecodable bytes on a command line arrive as surrogates.
        if any("\ud800" <= character <= "\udfff" for character in prompt):
            mistake = Mistake("prompt", prompt, "must be valid Unicode text")
            raise InvalidConfigError("the prompt cannot be read:", mistakes=[mistake])
        ids = self.tokenizer.encode(unicodedata.normalize("NFC", self.open_word(prompt)))
        return np.concatenate([np.array(self.bundle.start_token_ids, np.int64), ids])

    def open_word(self, prompt: str) -> str:
        """The prompt without spaces at its end, unless the vocabulary writes every space as a token of its own."""
        return prompt.rstrip(" ") if self.tokenizer.joins_spaces else prompt

    def compute_logits(self, token_ids: Sequence[int] | Ids) -> Logits:
        """Logits [T, vocabulary] of the token after each of the T given, at most a full context."""
        return self.open_context().compute_logits(token_ids)

    def open_context(
        self, settings: GenerationSettings = GREEDY, *, seed: int = 0, keeps_logits: bool = False
    ) -> Context:
        random = Random(seed)  # noqa: S311 - a text, not a secret
        return Context(self._network, settings=settings, draw=random.random, keeps_logits=keeps_logits)

    def open_decoder(self, stop: Sequence[str] = ()) -> PieceDecoder:
        return PieceDecoder(self.tokenizer, stop=stop, texts=self._texts)


class TextStream(Iterator[str]):
    """The pieces of one text as they are generated.

    ``token_ids`` are those generated so far. ``seed`` and ``settings`` reproduce the text. ``ended`` is None until the
    text has ended; then it says why: ``itself`` (the model chose the end token), ``stop`` (a stop text), or ``limit``
    (``max_tokens``). ``logits`` [vocabulary] are those that the last token was chosen from, before penalty and
    temperature, if the stream keeps them; the next token overwrites them.
    """

    def __init__(
        self, model: Model, context: Context, prompt_ids: Ids, *, settings: GenerationSettings, seed: int
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.num_prompt_tokens = len(prompt_ids)
        self.logits = context.logits
        self.token_ids: list[int] = []
        self.ended: Literal["itself", "stop", "limit"] | None = None
        self._pieces = self._generate(model, context, prompt_ids)

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

    def follow_space(self) -> TextStream:
        """Leave out the space at the beginning, because the prompt ends in it."""
        self._pieces = _drop_space(self._pieces)
        return self

    def _generate(self, model: Model, context: Context, prompt_ids: Ids) -> Iterator[str]:
        decoder = model.open_decoder(self.settings.stop)
        # One loop with local names: code between two forward passes has left the processor's caches, so each call
        # is measurable.
        token_ids, push, advance = self.token_ids, decoder.push, context.advance
        context.read(prompt_ids)
        token = context.next_id
        while token != END_ID:
            token_ids.append(token)
            yield push(token)
            if decoder.is_stopped:
                self.ended = "stop"
                return
            if len(token_ids) >= self.settings.max_tokens:
                self.ended = "limit"
                break
            token = advance()
        else:
            self.ended = "itself"
        if text := decoder.finish():
            yield text


def _drop_space(pieces: Iterator[str]) -> Iterator[str]:
    for text in pieces:
        yield text.removeprefix(" ")
        if text:
            break
    yield from pieces
