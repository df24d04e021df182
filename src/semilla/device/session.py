"""A finished model in memory: text in, text out.

The network runs in ONNX Runtime. A NumPy engine of 40 lines computes the same with 30 MB less, but takes 1.5
to 1.7 times as long a token (0.22 ms against 0.15 at the default shape, 1.8 against 1.1 at 4 layers of width
256; one thread of an AMD EPYC) and twice as long to read a prompt, and it would be a second implementation to
keep equal to the file that others load.
"""

from __future__ import annotations

import codecs
import secrets
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from random import Random
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import onnxruntime

from semilla.device.bundle import Bundle, GenerationSettings, SettingChanges, read_bundle
from semilla.device.sampling import Ids, Scores, pick_token
from semilla.errors import (
    IncompatibleError,
    IntegrityError,
    InvalidConfigError,
    Mistake,
    OutOfMemoryError,
    SemillaError,
)
from semilla.tokenizer import BEGIN_ID, END_ID, SPACE_MARK, UNKNOWN_ID, read_tokenizer

BANNED_IDS = np.array([UNKNOWN_ID, BEGIN_ID])

PREPACKED_BYTES = 64 * 2**20
"""Above this size, matrices are used as they lie in the file: packed copies cost 145 MB and win a fifth."""

SCORE_BYTES = 2 * 2**20
"""Attention scores of a layer at once; prompts are read in parts of this size (in all 430 MB, not 615)."""


def load(path: str | PathLike[str], *, num_threads: int = 1) -> Model:
    """Load the model of a bundle, or of a run's output directory.

    Raises what ``semilla.device.bundle.read_bundle`` raises, and IncompatibleError when the files do not fit
    together.
    """
    return Model(read_bundle(Path(path)), num_threads=num_threads)


class Model:
    """Generates text. Streams share nothing that changes, so threads may read one each at the same time."""

    def __init__(self, bundle: Bundle, *, num_threads: int = 1) -> None:
        self.bundle = bundle
        self.tokenizer = read_tokenizer(bundle.tokenizer_path)
        self._session = _open_session(bundle.model_path, num_threads=num_threads)
        _check_fit(bundle, self._session, vocab_size=self.tokenizer.vocab_size)

    def generate(
        self, prompt: str = "", *, seed: int | None = None, **changes: Unpack[SettingChanges]
    ) -> str:
        """Continue ``prompt``, which is not repeated, or start a paragraph; equal seeds give equal texts."""
        return "".join(self.stream(prompt, seed=seed, **changes))

    def stream(
        self, prompt: str = "", *, seed: int | None = None, **changes: Unpack[SettingChanges]
    ) -> TextStream:
        """Generate as ``generate`` does, piece by piece, each of whole characters.

        Without a seed a new one is drawn; the stream tells which. Raises InvalidConfigError for settings out
        of range.
        """
        settings = self.bundle.settings.change(**changes)
        seed = secrets.randbits(63) if seed is None else seed
        if not 0 <= seed < 2**63:
            raise InvalidConfigError(
                "no such seed:", mistakes=[Mistake("seed", seed, "must be 0 to 2**63 - 1")]
            )
        return TextStream(self, self.encode(prompt), settings=settings, seed=seed)

    def encode(self, prompt: str) -> Ids:
        """Encode a prompt behind the tokens of a line start."""
        if any(
            "\ud800" <= character <= "\udfff" for character in prompt
        ):  # undecodable bytes of a command line
            mistake = Mistake("prompt", prompt, "must be valid Unicode text")
            raise InvalidConfigError("the prompt cannot be read:", mistakes=[mistake])
        ids = self.tokenizer.encode(unicodedata.normalize("NFC", prompt))
        return np.concatenate([np.array(self.bundle.start_token_ids, np.int64), ids])

    def score(self, token_ids: Sequence[int] | Ids) -> Scores:
        """Scores (logits) [T, vocabulary] of the token after each of the T given, read one by one."""
        context = self.open_context()
        return np.stack([context.read(np.array([token])) for token in token_ids])

    def open_context(self) -> Context:
        return Context(self._session, self.bundle.model)


class Context:
    """The tokens a model has read, and their keys and values.

    A model knows no positions beyond the length it was trained on. When that is reached, the later half of
    the tokens is read again into an empty cache and the rest is forgotten: text may go on for ever, at the
    price of one re-reading per half context (a few steps' time). Merely dropping the oldest rows would keep
    keys that have seen, and positions that count, tokens no longer there: training never showed that to the
    model.
    """

    def __init__(self, session: onnxruntime.InferenceSession, model: Mapping[str, Any]) -> None:
        self.capacity: int = model["max_position_embeddings"]
        self._session = session
        self._inputs = [value.name for value in session.get_inputs()[1:]]
        self._outputs = [value.name for value in session.get_outputs()]
        self._ids = np.empty(self.capacity, np.int64)
        # Memory is taken up page by page as rows are written, so a short text never pays for a long context.
        self._cache = np.empty((len(self._inputs), self.capacity, model["hidden_size"]), np.float32)
        self._length = 0
        self._part_length = max(1, SCORE_BYTES // (4 * model["num_attention_heads"] * self.capacity))

    @property
    def token_ids(self) -> Ids:
        return self._ids[: self._length]

    def read(self, token_ids: Ids) -> Scores:
        """Read at least one token more and return the scores [vocabulary] of the next."""
        if self._length + len(token_ids) > self.capacity:
            token_ids = np.concatenate([self.token_ids, token_ids])[-(self.capacity // 2) :]
            self._length = 0
        parts = range(0, len(token_ids), self._part_length)
        return [self._run(token_ids[start : start + self._part_length]) for start in parts][-1]

    def forget(self, *, from_position: int) -> None:
        """Take back what was read from ``from_position`` on."""
        assert 0 <= from_position <= self._length
        self._length = from_position

    def _run(self, token_ids: Ids) -> Scores:
        start, end = self._length, self._length + len(token_ids)
        feed: dict[str, npt.NDArray[Any]] = {"input_ids": token_ids[None]}
        feed |= {name: rows[:start] for name, rows in zip(self._inputs, self._cache, strict=True)}
        try:
            logits, *new = self._session.run(self._outputs, feed)
        except Exception as error:
            raise _translate(error, "the model cannot be run") from error
        for rows, new_rows in zip(self._cache, new, strict=True):
            rows[start:end] = new_rows
        self._ids[start:end] = token_ids
        self._length = end
        scores: Scores = logits[-1]
        return scores


class TextStream(Iterator[str]):
    """The pieces of one text as they are generated.

    ``token_ids`` are those generated so far; ``seed`` and ``settings`` would bring the same text again.
    """

    def __init__(self, model: Model, prompt_ids: Ids, *, settings: GenerationSettings, seed: int) -> None:
        self.settings = settings
        self.seed = seed
        self.token_ids: list[int] = []
        self._pieces = self._generate(model, prompt_ids)

    def __next__(self) -> str:
        return next(self._pieces)

    def _generate(self, model: Model, prompt_ids: Ids) -> Iterator[str]:
        decoder = PieceDecoder(model, stop=self.settings.stop)
        for token in self._draw(model, prompt_ids):
            self.token_ids.append(token)
            if text := decoder.push(token):
                yield text
            if decoder.is_stopped:
                return
        if text := decoder.finish():
            yield text

    def _draw(self, model: Model, prompt_ids: Ids) -> Iterator[int]:
        context, random = model.open_context(), Random(self.seed)  # noqa: S311 - a text, not a secret
        new_ids = prompt_ids
        for _ in range(self.settings.max_tokens):
            scores = context.read(new_ids)
            token = pick_token(
                scores, settings=self.settings, random=random, seen=context.token_ids, banned=BANNED_IDS
            )
            if token == END_ID:
                return
            yield token
            new_ids = np.array([token])


class PieceDecoder:
    """Tokens to text: holds back unfinished characters, and what may yet become one of the ``stop`` texts."""

    def __init__(self, model: Model, *, stop: Sequence[str] = ()) -> None:
        self._processor = model.tokenizer.processor
        self._stop = stop
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.is_stopped = False

    def push(self, token: int) -> str:
        """Text that is certain once ``token`` is there; often none."""
        piece: str = self._processor.IdToPiece(token)
        is_byte = self._processor.IsByte(token)
        spelled = bytes([int(piece[3:5], 16)]) if is_byte else piece.encode()  # byte pieces look like <0xC3>
        text = self._held + self._characters.decode(spelled).replace(SPACE_MARK, " ")
        # Whichever is complete first, however tokens cut it: "b" ends "ab" even where "abc" might have come.
        found = [(place + len(stop), place) for stop in self._stop if (place := text.find(stop)) >= 0]
        self.is_stopped = bool(found)
        certain = min(found)[1] if found else len(text) - self._measure_overlap(text)
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """Return what was held back for a stop text; half a character at the end is dropped."""
        return self._held

    def _measure_overlap(self, text: str) -> int:
        """Length of the longest end of ``text`` that begins a stop text."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        ends = range(min(longest, len(text)), 0, -1)
        return next((end for end in ends if any(stop.startswith(text[-end:]) for stop in self._stop)), 0)


def _open_session(path: Path, *, num_threads: int) -> onnxruntime.InferenceSession:
    """Open with the default allocator: arena and memory patterns on or off, speed and memory are the same here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    # Failures arrive as exceptions; the log would repeat them on standard error.
    options.log_severity_level = 4
    if path.stat().st_size > PREPACKED_BYTES:
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        # By path: given as bytes, the file would be in memory twice while it is read.
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _translate(error, f"{path} cannot be loaded") from error


def _translate(error: Exception, what: str) -> SemillaError:
    """ONNX Runtime has no class for lack of memory; the text of the C++ exception tells."""
    if isinstance(error, MemoryError) or "alloc" in str(error).lower():
        return OutOfMemoryError(f"out of memory: {what}")
    return IntegrityError(f"{what}: {error}")


def _check_fit(bundle: Bundle, session: onnxruntime.InferenceSession, *, vocab_size: int) -> None:
    """Compare what the three files say of each other."""
    model = bundle.model
    if vocab_size != model["vocab_size"]:
        raise IncompatibleError(f"the tokenizer has {vocab_size} pieces, the model {model['vocab_size']}")
    kinds = ("key", "value")
    expected = {f"past.{layer}.{kind}" for layer in range(model["num_hidden_layers"]) for kind in kinds}
    found = {value.name: value.shape[-1] for value in session.get_inputs()}
    found.pop("input_ids", None)
    if found != dict.fromkeys(expected, model["hidden_size"]):
        raise IncompatibleError(f"{bundle.model_path} has another shape than its description says")
