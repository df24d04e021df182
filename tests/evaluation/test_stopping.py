"""Every long step of validation stops soon after a signal asked for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import write_tiny_bundle

from semilla.corpus.manifest import Document
from semilla.errors import InterruptedRunError
from semilla.evaluation import texts
from semilla.evaluation.losses import measure_loss
from semilla.evaluation.minimal_pairs import score_sentences
from semilla.evaluation.pair_selection import select_pairs
from semilla.evaluation.texts import measure_texts
from semilla.records.sample import Sample
from semilla.runtime.budgets import measure_in_child
from semilla.runtime.limits import find_limit
from semilla.stories.minimal_pairs import pairs as pairs_module
from semilla.stories.minimal_pairs.pairs import make_pairs
from semilla.stories.stories import tell_story
from semilla.system import interrupts
from semilla.training import data as data_module
from semilla.training.evaluate import evaluate


class Untouched:
    """Stands for a model, a tokenizer or data: any use of it fails."""

    length, batch_size, held_out, training, tokenizer = 8, 1, [], False, None

    def eval(self) -> None: ...

    def train(self, mode: bool) -> None: ...

    max_positions = 8


def draw(place: Path) -> object:
    texts.find_prompts = lambda *_, **__: {"es": ["Había"]}
    return texts.draw_samples(Untouched(), [], seed=0, max_tokens=9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "act",
    [
        lambda place: score_sentences(Untouched(), [[5, 6]]),
        lambda place: measure_loss(Untouched(), [(np.zeros(3, int), np.zeros(3, int))]),
        lambda place: measure_texts({"es": [Sample(text="Había")]}, Encoder(), Stream(), known_words=set()),
        lambda place: select_pairs([], "es"),
        lambda place: make_pairs("es", seed=0, check=interrupts.check),
        lambda place: measure_in_child(write_tiny_bundle(place)),
        lambda place: find_limit(write_tiny_bundle(place)),
        draw,
    ],
    ids=["grammar", "int8 loss", "copying", "selecting pairs", "making pairs", "budgets", "limit", "samples"],
)
def test_every_long_step_of_validation_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], Any]
) -> None:
    """The next sentence, window, text or poll of a child is not waited for."""
    monkeypatch.setattr(texts, "find_prompts", texts.find_prompts)
    with interrupts.catch_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(InterruptedRunError):
            act(tmp_path)


class Stream:
    stream = np.arange(40, dtype=np.int32)


class Encoder:
    def encode(self, text: str) -> Any:
        return np.arange(len(text), dtype=np.int32)


def test_an_evaluation_checks_before_every_batch() -> None:
    """Phase 4 passes no check: there the epoch is evaluated, saved, and then stopped."""

    class Held:
        language, size_bytes, tokens = "es", 1, np.arange(40, dtype=np.int32)

    data = Untouched()
    data.held_out = [Held()]
    with interrupts.catch_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(InterruptedRunError):
            evaluate(data, data, check=interrupts.check)  # type: ignore[arg-type]


def test_pairs_are_made_only_as_long_as_no_signal_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal in the middle of it is granted before the next story, with its probe and with all pairs."""
    document = Document("Uno", "es", "x", ("Había una vez.",), ())
    told: list[int] = []

    def tell(*arguments: Any, index: int, **keywords: Any) -> Any:
        told.append(index)
        if len(told) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return tell_story(*arguments, index=index, **keywords)

    monkeypatch.setattr(pairs_module, "tell_story", tell)
    with interrupts.catch_signals(), pytest.raises(InterruptedRunError):
        select_pairs([document], document.language)  # type: ignore[arg-type]
    assert len(told) == 3


def test_encoding_the_texts_can_be_stopped() -> None:
    """Before each document."""
    documents = [Document("Uno", "es", "x", ("Había",), ())]

    class Settings:
        max_sequence_length = 8

    class Config:
        training_hyperparameters = Settings()

    with interrupts.catch_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(InterruptedRunError):
            data_module.build_data(documents, Untouched(), Config())  # type: ignore[arg-type]
