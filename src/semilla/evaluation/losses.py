"""Losses of the bundle and of a baseline, to compare with that of the trained model. All in nats per token."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from semilla.model.transformer import Transformer
from semilla.runtime.scoring import sum_nats
from semilla.runtime.session import Model
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import Tokens
from semilla.training.data import TrainingData, cut_held_out
from semilla.training.evaluate import evaluate

EXPECTED_SHARE = 0.75
"""Of what pairs of tokens gain. In books and stories that is more than the 1 nat that the gate asks for."""
NO_GAIN = 0.05
"""Nats. Below it, what is gained cannot be told from chance."""
PAIR_TOKENS = 5_000_000
"""Counting the pairs of more tokens takes seconds, and changes the loss by little."""
BASELINE_TOKENS = 4_000_000
"""Of more held-out tokens, the baseline takes every second, third and so on."""
INT8_TOKENS = 16_384
"""Held-out tokens on which the bundle is compared: a difference of losses on the same tokens needs no more."""


def measure_frequency_baseline(data: TrainingData, *, vocab_size: int) -> float:
    """Held-out loss of a model that only knows how often each token occurs in training (add-one smoothing)."""
    counts = np.ones(vocab_size, np.int64)
    counts[: len(data.token_counts)] += data.token_counts
    nats = -np.log(counts / counts.sum())
    tokens = np.concatenate([text.tokens for text in data.held_out])
    return float(nats[tokens[:: -(-len(tokens) // BASELINE_TOKENS)]].mean())


def find_expected_gain(data: TrainingData, *, vocab_size: int, baseline: float) -> float:
    """Find by how much a model can be asked to beat the baseline of frequencies: 3/4 of what pairs of tokens gain.

    DNA and digits have little to gain. Where pairs gain next to nothing, a model may be as bad as the frequencies, and
    a little worse.
    """
    gain = baseline - _measure_pair_baseline(data, vocab_size=vocab_size)
    return EXPECTED_SHARE * gain if gain >= NO_GAIN else -NO_GAIN


def _measure_pair_baseline(data: TrainingData, *, vocab_size: int) -> float:
    """Held-out loss of a model that knows how often each token follows another (Witten-Bell smoothing)."""
    stream = data.stream[:PAIR_TOKENS].astype(np.int64)
    pairs, pair_counts = np.unique(stream[:-1] * vocab_size + stream[1:], return_counts=True)
    counts = np.bincount(stream, minlength=vocab_size) + 1
    num_before = np.bincount(stream[:-1], minlength=vocab_size)
    num_kinds = np.bincount(pairs // vocab_size, minlength=vocab_size)
    nats, num_tokens = 0.0, 0
    for text in data.held_out:
        before, after = text.tokens[:-1].astype(np.int64), text.tokens[1:].astype(np.int64)
        places = np.minimum(np.searchsorted(pairs, before * vocab_size + after), len(pairs) - 1)
        found = np.where(pairs[places] == before * vocab_size + after, pair_counts[places], 0)
        alone = counts[after] / counts.sum()
        seen = num_before[before] + num_kinds[before]
        chances = np.where(seen > 0, (found + num_kinds[before] * alone) / np.maximum(seen, 1), alone)
        nats -= float(np.log(chances).sum())
        num_tokens += len(after)
    return nats / max(1, num_tokens)


def measure_gains(losses: Sequence[float], *, best_loss: float, vocab_size: int) -> dict[str, float]:
    """Gains of the best model over guessing evenly, and of the best later epoch over the first.

    ``losses`` are the validation losses of the epochs; one epoch has no later one.
    """
    gains = {"gain_over_uniform": math.log(vocab_size) - best_loss}
    if len(losses) > 1:
        gains["gain_since_first_epoch"] = losses[0] - min(losses[1:])
    return gains


def measure_int8_cost(bundle: Model, trained: Transformer, data: TrainingData) -> float:
    """How much the bundle's loss exceeds the trained model's on the same held-out tokens, in percent."""
    share = min(1.0, INT8_TOKENS / sum(len(text.tokens) for text in data.held_out))
    texts = tuple(
        replace(text, tokens=text.tokens[: math.ceil(len(text.tokens) * share)]) for text in data.held_out
    )
    windows = (window for text in texts for window in cut_held_out(text, length=data.length))
    reference = evaluate(trained, replace(data, held_out=texts), check=interrupts.check)
    return 100 * (measure_loss(bundle, windows) / reference.loss - 1)


def measure_loss(model: Model, windows: Iterable[tuple[Tokens, Tokens]]) -> float:
    """Loss over ``windows`` of inputs and the targets that follow them, [T] each, T at most a context."""
    nats, num_tokens = sum_nats(model, windows, check=interrupts.check)
    return nats / num_tokens
