"""A finished model in memory: text in, text out."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Unpack

import numpy as np

from semilla.errors import IncompatibleError, InvalidConfigError, Mistake
from semilla.runtime.batch import open_batches
from semilla.runtime.bundle import Bundle, GenerationSettings, SettingChanges, read_bundle
from semilla.runtime.context import GREEDY, Arrays, Context, Ids, Logits, open_random
from semilla.runtime.network import Network
from semilla.runtime.pieces import PieceDecoder
from semilla.runtime.streams import TextStream
from semilla.tokenizer.tokenizer import read_tokenizer


def load(path: str | PathLike[str], *, num_threads: int = 1, portable: bool = False) -> Model:
    """Load the model of a bundle, or of a run's output directory.

    A ``portable`` one computes in float32 throughout. It takes about ten times as long, and the same seed gives the
    same text on other kinds of processors too.

    Raises the errors of ``semilla.runtime.bundle.read_bundle``, and IncompatibleError when the files do not belong
    together.
    """
    return Model(read_bundle(Path(path).expanduser()), num_threads=num_threads, portable=portable)


class Model:
    """Generates text. Streams share no mutable state, so several threads may each read one at the same time."""

    def __init__(self, bundle: Bundle, *, num_threads: int = 1, portable: bool = False) -> None:
        self.bundle = bundle
        self.tokenizer = read_tokenizer(bundle.tokenizer_path)
        found, expected = self.tokenizer.vocab_size, bundle.model["vocab_size"]
        if found != expected:
            raise IncompatibleError(f"the tokenizer has {found} pieces, the model {expected}")
        self._network = Network(bundle, num_threads=num_threads, portable=portable)
        self._texts: dict[int, str] = {}

    @property
    def capacity(self) -> int:
        """Context length in tokens."""
        return self._network.capacity

    def generate(
        self, prompt: str = "", *, seed: int | None = None, **changes: Unpack[SettingChanges]
    ) -> str:
        """Continue ``prompt``, without repeating it, or start a paragraph.

        The same seed gives the same text, on the same kind of processor unless the model is portable.
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
        stream = self._open_stream(prompt, seed, self.bundle.settings.change(**changes))
        stream.read_from(self.open_context(stream.settings, seed=stream.seed, keeps_logits=keeps_logits))
        return self._join(stream, prompt)

    def stream_all(
        self,
        prompts: Sequence[str],
        *,
        seeds: Sequence[int | None],
        num_threads: int = 1,
        **changes: Unpack[SettingChanges],
    ) -> Iterator[TextStream]:
        """Generate several texts together, in several threads: one stream for each prompt and its seed, in order.

        Each text is, in every bit, the one that ``stream`` gives for its seed. Reading one stream also writes the
        others, whose pieces then wait, so one thread must read them all. Raises what ``stream`` raises.
        """
        settings = self.bundle.settings.change(**changes)
        streams = [self._open_stream(*pair, settings) for pair in zip(prompts, seeds, strict=True)]
        open_batches(self._network, settings, streams, num_threads=num_threads)
        return map(self._join, streams, prompts)

    def _open_stream(self, prompt: str, seed: int | None, settings: GenerationSettings) -> TextStream:
        seed = int.from_bytes(os.urandom(8)) >> 1 if seed is None else seed
        if not 0 <= seed < 2**63:
            mistake = Mistake("seed", seed, "must be 0 to 2**63 - 1")
            raise InvalidConfigError("no such seed:", mistakes=[mistake])
        decoder = PieceDecoder(self.tokenizer, stop=settings.stop, texts=self._texts)
        return TextStream(self.encode(prompt), decoder, settings=settings, seed=seed)

    def _join(self, stream: TextStream, prompt: str) -> TextStream:
        """The stream of a text that can be written right behind its prompt."""
        if self.open_word(prompt) != prompt:
            stream.follow_space()
        return stream

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
        arrays = Arrays(self._network, settings)
        return Context(arrays, draw=open_random(seed), keeps_logits=keeps_logits)
