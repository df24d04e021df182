"""A pilot: a few seconds of training on the text itself tell how far it is from the law.

The law knows a text by its size and by what counting predicts of it. Texts differ by more than that, by 11 % on
average, and by as much whatever the network: the pilot's difference is taken for that of every plan.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document
from semilla.errors import InterruptedRunError, SemillaError
from semilla.planning.plan import FILL, FIXED_S, PER_MB_S, describe_plan, make_plan
from semilla.planning.text_facts import measure_facts
from semilla.system import interrupts
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer
from semilla.training.data import build_data
from semilla.training.environment import choose_environment
from semilla.training.evaluate import evaluate
from semilla.training.loop import train
from semilla.training.parallel.workers import Workers
from semilla.training.state import build_state

SHARE = 0.05
"""Of the time asked for that a pilot may take."""
LEAST_S, MOST_S = 2.0, 5.0
PATIENCE = 3
"""A pilot that takes so many times as long as planned, because the machine is busy, is given up."""
MOST_BYTES = 300_000
"""Of the training text. One pass over more would take longer than a pilot may."""


def try_text(
    config: PipelineConfiguration, documents: Sequence[Document], *, seconds: float, speed: float
) -> float | None:
    """The logarithm of measured over expected bits per byte after a small training.

    ``seconds`` are those asked for in all, ``speed`` is that of ``cost.compare_speed``. Returns None when the time is
    too short for it, or when nothing can be trained on the text.
    """
    budget_s = min(MOST_S, SHARE * seconds)
    if budget_s < LEAST_S:
        return None
    part = cut_documents(documents, MOST_BYTES)
    facts = measure_facts(part)
    size_mb = (facts.train_bytes + facts.held_out_bytes) / 1e6
    try:
        config = config.model_copy(update={"device": "cpu"})  # the law is that of processors
        plan = make_plan(config, facts, seconds=(budget_s + FIXED_S + PER_MB_S * size_mb) / FILL, speed=speed)
        if plan.training_s > PATIENCE * budget_s:
            return None
        tokenizer = _train_tokenizer(plan.config, part)
        tried = plan.config.change(tokenizer_vocab_size=tokenizer.vocab_size)
        expected = describe_plan(tried, facts, speed=speed).bits
        bits = _train_network(tried, part, tokenizer, limit_s=PATIENCE * budget_s)
        return None if bits is None else math.log(bits / expected)
    except InterruptedRunError:
        raise
    except SemillaError:
        return None


def cut_documents(documents: Sequence[Document], most_bytes: int) -> list[Document]:
    """An equal share of every text, about ``most_bytes`` for training in all: its beginning, or some documents."""
    train_bytes = sum(len(text.encode()) for one in documents for text in one.train_texts)
    share = min(1.0, most_bytes / max(1, train_bytes))
    return [
        replace(
            one,
            train_texts=_cut(one.train_texts, share),
            validation_texts=_cut(one.validation_texts, share),
        )
        for one in documents
    ]


def _cut(texts: Sequence[str], share: float) -> list[str]:
    if len(texts) == 1:
        return [texts[0][: math.ceil(share * len(texts[0]))]]
    return [texts[place] for place in range(0, len(texts), round(1 / share))]


def _train_tokenizer(config: PipelineConfiguration, documents: Sequence[Document]) -> Tokenizer:
    trained = train_tokenizer(
        (one.train_text for one in documents),
        vocab_size=config.tokenizer_vocab_size,
        model_type=config.tokenizer_model_type,
        is_size_explicit=False,
    )
    return Tokenizer(trained.model)


def _train_network(
    config: PipelineConfiguration, documents: Sequence[Document], tokenizer: Tokenizer, *, limit_s: float
) -> float | None:
    """Bits per held-out byte after all epochs of ``config``; None when they take longer than ``limit_s``."""
    data = build_data(documents, tokenizer, config)
    precision = choose_environment(config.training_hyperparameters, device=config.device).precision
    state = build_state(config, vocab_size=tokenizer.vocab_size, precision=precision)
    with Workers(config) as workers:
        began_s = time.monotonic()
        for _ in train(state, config=config, data=data, workers=workers):
            interrupts.check()
            if time.monotonic() - began_s > limit_s:
                return None
    return evaluate(state.model, data, check=interrupts.check).bits_per_byte["all"]
