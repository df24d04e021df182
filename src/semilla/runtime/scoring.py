"""How well a model predicts a text: nats, bits per byte and perplexity, computed by the bundle alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semilla.runtime.session import Model
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID

Ids = npt.NDArray[Any]


@dataclass(frozen=True)
class TextScore:
    """The loss of a model on a text.

    ``num_tokens`` counts the end token that follows the text. ``num_byte_tokens`` counts the bytes of characters that
    the vocabulary lacks.
    """

    size_bytes: int
    num_characters: int
    num_tokens: int
    num_byte_tokens: int
    nats: float

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.num_tokens

    @property
    def perplexity(self) -> float:
        """Of a token; infinity where it is beyond a float."""
        return math.exp(self.loss) if self.loss < math.log(np.finfo(float).max) else math.inf

    @property
    def bits_per_byte(self) -> float:
        """Bits for each UTF-8 byte of the text, which models of different vocabularies can be compared by."""
        return self.nats / math.log(2) / self.size_bytes


def score_text(model: Model, text: str, *, check: Callable[[], None] = lambda: None) -> TextScore:
    """Score a text of at least one character, as training scores a held-out document.

    Every token is predicted once, and so is the end of the text, in consecutive windows of the model's context length.
    ``check`` is called before every window; it may raise.
    """
    tokens = model.tokenizer.encode(text)
    windows = cut_windows(np.concatenate([tokens, [END_ID]]), length=model.capacity)
    nats, num_tokens = sum_nats(model, windows, check=check)
    num_byte_tokens = sum(map(model.tokenizer.processor.IsByte, tokens.tolist()))
    return TextScore(len(text.encode()), len(text), num_tokens, num_byte_tokens, nats)


def cut_windows(tokens: Ids, *, length: int) -> Iterator[tuple[Ids, Ids]]:
    """Inputs and targets, [T] each, that predict every one of ``tokens`` once; T is ``length``, at the end less."""
    inputs = np.concatenate([[BEGIN_ID], tokens[:-1]])
    for start in range(0, len(tokens), length):
        yield inputs[start : start + length], tokens[start : start + length]


def sum_nats(
    model: Model, windows: Iterable[tuple[Ids, Ids]], *, check: Callable[[], None] = lambda: None
) -> tuple[float, int]:
    """Sum the loss over ``windows`` of inputs and the targets that follow them, [T] each, T at most a context.

    Returns nats and the number of targets.
    """
    nats, num_tokens = 0.0, 0
    for inputs, targets in windows:
        check()
        logits = model.compute_logits(inputs.astype(np.int64))
        highest = logits.max(axis=1, keepdims=True)
        sums = np.exp(logits - highest).sum(axis=1, dtype=np.float64)
        chosen = logits[np.arange(len(targets)), targets] - highest[:, 0]
        nats += float((np.log(sums) - chosen).sum())
        num_tokens += len(targets)
    return nats, num_tokens
