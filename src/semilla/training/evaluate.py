"""The validation loss: every held-out token once, in nats per token and in bits per byte of text."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from semilla.model.transformer import Transformer
from semilla.training.data import NO_TARGET, HeldOutBatch, TrainingData, batch_held_out
from semilla.training.loss import sum_token_losses
from semilla.training.micro_batches import count_micro_batch_rows

SAMPLED_TOKENS = 1_000_000
"""Of more held-out tokens, an epoch is evaluated on about so many: 4 MB of text, that of a corpus of 40 MB."""


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats per token, and bits per UTF-8 byte by language and for ``all``."""

    loss: float
    bits_per_byte: dict[str, float]


def find_step(data: TrainingData) -> int:
    """Of how many held-out windows an evaluation at the end of an epoch takes one; the same ones every time."""
    return max(1, -(-sum(len(text.tokens) for text in data.held_out) // SAMPLED_TOKENS))


def evaluate(
    model: Transformer,
    data: TrainingData,
    *,
    step: int = 1,
    measure: Callable[[Iterable[HeldOutBatch]], Iterator[float]] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Measure ``model`` on every validation token of every document, in the precision of its training.

    With a ``step`` it is every second, third and so on of the windows; their bytes are estimated from their tokens.
    ``measure`` returns the loss of each batch as ``measure_batch`` does, from several processes for example. ``check``
    is called before every batch; it may raise.
    """
    was_training = model.training
    model.eval()
    measure = measure or partial(map, partial(measure_batch, model))
    nats: dict[str, float] = defaultdict(float)
    num_bytes: dict[str, float] = defaultdict(float)
    num_tokens = 0
    # No more tokens than a training step has; otherwise evaluation would set the peak memory of small batches.
    batch_size = min(data.batch_size, count_micro_batch_rows(data.length))
    for language in dict.fromkeys(text.language for text in data.held_out):
        texts = [text for text in data.held_out if text.language == language]
        batches = batch_held_out(texts, length=data.length, batch_size=batch_size, step=step)
        counts: list[int] = []
        nats[language] = sum(measure(_count_targets(batches, counts, check)))
        measured = sum(counts)
        share = measured / max(1, sum(len(text.tokens) for text in texts))
        num_tokens += measured
        num_bytes[language] += share * sum(text.size_bytes for text in texts)
    model.train(was_training)
    nats["all"], num_bytes["all"] = sum(nats.values()), sum(num_bytes.values())
    return Evaluation(
        loss=nats["all"] / num_tokens,
        bits_per_byte={
            language: nats[language] / math.log(2) / num_bytes[language]
            for language in nats
            if num_bytes[language]
        },
    )


@torch.no_grad()
def measure_batch(model: Transformer, batch: HeldOutBatch) -> float:
    """The sum of the losses of a batch's targets in nats."""
    inputs, targets = (torch.from_numpy(part).to(model.device) for part in batch)
    is_target = targets != NO_TARGET
    return sum_token_losses(model(inputs)[is_target], model.output_weight_VD, targets[is_target])


def _count_targets(
    batches: Iterable[HeldOutBatch], counts: list[int], check: Callable[[], None]
) -> Iterator[HeldOutBatch]:
    """The batches one by one, as much text has too many to hold; each is checked for, and its targets are counted."""
    for batch in batches:
        check()
        counts.append(int((batch[1] != NO_TARGET).sum()))
        yield batch
