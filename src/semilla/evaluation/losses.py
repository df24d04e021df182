"""Losses of the bundle and of a baseline, to compare with that of the trained model. All in nats per token."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from semilla.model.transformer import Transformer
from semilla.runtime.session import Model
from semilla.system import interrupts
from semilla.training.data import TrainingData, cut_held_out
from semilla.training.evaluate import evaluate

INT8_TOKENS = 16_384
"""Held-out tokens on which the bundle is compared: a difference of losses on the same tokens needs no more."""


def measure_frequency_baseline(data: TrainingData, *, vocab_size: int) -> float:
    """Held-out loss of a model that only knows how often each token occurs in training (add-one smoothing)."""
    counts = np.bincount(data.stream, minlength=vocab_size) + 1
    nats = -np.log(counts / counts.sum())
    return float(nats[np.concatenate([text.tokens for text in data.held_out])].mean())


def measure_int8_cost(bundle: Model, trained: Transformer, data: TrainingData) -> float:
    """How much the bundle's loss exceeds the trained model's on the same held-out tokens, in percent."""
    share = min(1.0, INT8_TOKENS / sum(len(text.tokens) for text in data.held_out))
    texts = tuple(
        replace(text, tokens=text.tokens[: math.ceil(len(text.tokens) * share)]) for text in data.held_out
    )
    windows = (
        (inputs[0], targets[0])
        for text in texts
        for inputs, targets in cut_held_out(text, length=data.length, batch_size=1)
    )
    reference = evaluate(trained, replace(data, held_out=texts), check=interrupts.check)
    return 100 * (measure_loss(bundle, windows) / reference.loss - 1)


def measure_loss(
    model: Model, windows: Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
) -> float:
    """Loss over ``windows`` of inputs and the targets that follow them, [T] each, T at most a context."""
    nats, num_tokens = 0.0, 0
    for inputs, targets in windows:
        interrupts.check()
        logits = model.compute_logits(inputs)
        highest = logits.max(axis=1, keepdims=True)
        sums = np.exp(logits - highest).sum(axis=1, dtype=np.float64)
        chosen = logits[np.arange(len(targets)), targets] - highest[:, 0]
        nats += float((np.log(sums) - chosen).sum())
        num_tokens += len(targets)
    return nats / num_tokens
