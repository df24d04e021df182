"""The validation loss: every held-out token once, in nats per token and in bits per byte of text."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import torch

from semilla.model.transformer import Transformer
from semilla.training.batches import TrainingData, cut_held_out
from semilla.training.loss import sum_token_losses

EVALUATION_TOKENS = 8192
"""Tokens per forward pass at most; more only takes memory."""


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats per token, and bits per UTF-8 byte by language and for ``all``."""

    loss: float
    bits_per_byte: dict[str, float]


@torch.no_grad()
def evaluate(model: Transformer, data: TrainingData) -> Evaluation:
    """Measure ``model`` on every validation token of every document, in the precision it computes in."""
    was_training = model.training
    model.eval()
    nats: dict[str, float] = defaultdict(float)
    num_bytes: dict[str, int] = defaultdict(int)
    num_tokens = 0
    # No more sequences than a training step takes: with a small batch the evaluation would set the peak of memory.
    batch_size = min(data.batch_size, max(1, EVALUATION_TOKENS // data.length))
    for text in data.held_out:
        for inputs, targets in cut_held_out(text, length=data.length, batch_size=batch_size):
            hidden = model(torch.from_numpy(inputs).to(model.device))
            nats[text.language] += sum_token_losses(
                hidden, model.output_weight_VD, torch.from_numpy(targets).to(model.device)
            )
            num_tokens += targets.size
        num_bytes[text.language] += text.size_bytes
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
