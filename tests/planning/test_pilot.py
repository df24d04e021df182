"""A small training on the text tells how far the text is from the law; it is bounded in text and time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import pytest

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import Document
from semilla.planning import pilot
from semilla.planning.pilot import cut_documents, try_text

CONFIG = PipelineConfiguration.model_validate(
    {"training_hyperparameters": {"num_threads": 1, "precision": "float32"}}
)
SLOW = 60.0
"""A machine so slow that the smallest network reads the text once."""


def make_document(*, train: Sequence[str], validation: Sequence[str]) -> Document:
    return Document("a text", "en", "text.txt", tuple(train), tuple(validation))


def write_words(num_words: int, *, seed: int) -> str:
    draw = Random(seed)
    words = ["".join(draw.choices("abcdefghilmnoprstuv", k=draw.randint(2, 8))) for _ in range(400)]
    weights = [1 / place for place in range(1, 401)]
    return " ".join(Random(seed + 1).choices(words, weights, k=num_words)) + "."


@pytest.fixture
def document() -> Document:
    text = write_words(12_000, seed=1)
    return make_document(train=[text[:60_000]], validation=[text[60_000:70_000]])


def test_a_text_is_trained_on_and_its_difference_measured(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However busy the machine is here, the pilot may end."""
    monkeypatch.setattr(pilot, "PATIENCE", math.inf)
    found = try_text(CONFIG, [document], seconds=600, speed=SLOW)
    assert found is not None
    assert -1.5 < found < 1.5


def test_the_difference_is_the_logarithm_of_measured_over_expected(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pilot, "PATIENCE", math.inf)
    found = []
    for bits in (1.5, 3.0):
        monkeypatch.setattr(pilot, "_train_network", lambda *_, bits=bits, **__: bits)
        found.append(try_text(CONFIG, [document], seconds=600, speed=SLOW))
    assert found[0] is not None
    assert found[1] == pytest.approx(found[0] + math.log(2))


def test_there_is_no_pilot_when_the_time_is_short_or_the_machine_too_slow(document: Document) -> None:
    assert try_text(CONFIG, [document], seconds=0.9 * pilot.LEAST_S / pilot.SHARE, speed=1.0) is None
    assert try_text(CONFIG, [document], seconds=600, speed=1e6) is None


def test_a_pilot_that_takes_too_long_is_given_up(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    train = pilot._train_network
    monkeypatch.setattr(pilot, "PATIENCE", math.inf)
    monkeypatch.setattr(pilot, "_train_network", lambda *arguments, **_: train(*arguments, limit_s=0.0))
    assert try_text(CONFIG, [document], seconds=600, speed=SLOW) is None


def test_a_text_that_cannot_be_trained_on_has_no_pilot() -> None:
    """The phase that needs it says why."""
    assert try_text(CONFIG, [make_document(train=["a"], validation=["b"])], seconds=600, speed=1.0) is None


def test_a_large_text_is_cut_to_an_equal_share_of_every_part() -> None:
    book = make_document(train=["x" * 4000], validation=["y" * 400])
    stories = make_document(train=["z" * 10] * 400, validation=["w" * 10] * 40)
    first, second = cut_documents([book, stories], 2000)
    assert (len(first.train_text), len(first.validation_text)) == (1000, 100)
    assert (len(second.train_texts), len(second.validation_texts)) == (100, 10)
    assert cut_documents([book], 4000)[0].train_text == book.train_text
