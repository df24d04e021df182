"""What rounding costs: the loss of an export on held-out text, next to the trained model's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semilla.export.trained_model import Ids, Logits, TrainedModel

NUM_CONTEXTS = 600
"""Contexts of full length, evenly spread. At the default context they cover about all held-out text of three books."""


@dataclass(frozen=True)
class HeldOut:
    contexts: int
    tokens: int
    trained_loss: float
    loss: float
    loss_change_percent: float
    same_likeliest_token: float

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.4f}, {self.loss_change_percent:+.4f} % against the trained model's, "
            f"the same most likely token at {self.same_likeliest_token:.2%} of {self.tokens:,} positions"
        )


def compare_held_out(trained: TrainedModel, score: Callable[[Ids], Logits]) -> HeldOut:
    """Nats per token, and the share of positions with the same most likely token, over full contexts."""
    nats, agreeing, num_tokens = np.zeros(2), 0, 0
    contexts = trained.cut_contexts(NUM_CONTEXTS)
    for ids in contexts:
        both = trained.compute_logits(ids)[:-1], score(ids)[:-1]
        nats += [measure_nats(logits, ids[1:]) for logits in both]
        agreeing += int((both[0].argmax(axis=1) == both[1].argmax(axis=1)).sum())
        num_tokens += len(ids) - 1
    trained_loss, loss = nats / num_tokens
    change = 100 * (loss / trained_loss - 1)
    return HeldOut(
        len(contexts), num_tokens, float(trained_loss), float(loss), float(change), agreeing / num_tokens
    )


def measure_nats(logits: Logits, targets: Ids) -> float:
    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    return float((np.log(np.exp(exact).sum(axis=1)) - exact[np.arange(len(targets)), targets]).sum())
