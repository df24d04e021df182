"""Languages get the shares that the balance gives them, epochs keep their length, and no window is favoured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.corpus.manifest import Document
from semilla.tokenizer.tokenizer import BEGIN_ID, END_ID, NEWLINE_ID
from semilla.training.data import LEAST_DOCUMENTS, TrainingData, build_data, find_start_id, plan_epoch
from semilla.training.mixture import Mixture, apportion, balance_shares

from .small_data import make_config

LENGTH = 10


def make_mixed_data(balance: float, *, num_english: int = 3000, num_spanish: int = 7000) -> TrainingData:
    """English in two documents with Spanish between them, so that a language is not one stretch of the stream."""
    first = num_english // 2
    num_tokens = num_english + num_spanish
    mixture = Mixture(balance, (0, first, first + num_spanish), ("en", "es", "en"), num_tokens)
    return TrainingData(np.arange(num_tokens, dtype=np.int32), (), 4, LENGTH, 0, mixture)


def count_languages(data: TrainingData, starts: np.ndarray) -> Counter[str]:
    _, first, second = data.mixture.document_starts
    return Counter("es" if first <= start < second else "en" for start in starts.tolist())


@pytest.mark.parametrize(("balance", "english"), [(0, 0.3), (0.5, 0.3956), (1, 0.5)])
def test_each_language_gets_its_share(balance: float, english: float) -> None:
    """For 3,000 and 7,000 tokens: proportional, by square roots, and equal. Windows and recorded shares agree."""
    data = make_mixed_data(balance)
    counts = count_languages(data, plan_epoch(data, 1))
    assert counts["en"] / counts.total() == pytest.approx(english, abs=0.002)
    assert data.language_shares["en"] == pytest.approx(english, abs=0.001)
    assert list(data.language_shares) == ["es", "en"]


@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
def test_an_epoch_keeps_its_length(balance: float) -> None:
    """Every balance has the same number of windows, so the same steps and the same schedule."""
    data = make_mixed_data(balance)
    assert len(plan_epoch(data, 3)) == data.num_windows


def test_no_window_is_favoured() -> None:
    """Windows of the smaller language appear once or twice, those of the larger at most once."""
    data = make_mixed_data(1)
    starts = plan_epoch(data, 2)
    repeats = Counter(starts.tolist())
    spanish = {
        start: count for start, count in repeats.items() if count_languages(data, np.array([start]))["es"]
    }
    assert set(spanish.values()) == {1}
    assert {count for start, count in repeats.items() if start not in spanish} == {1, 2}
    assert not np.array_equal(starts, np.sort(starts))


def test_every_epoch_omits_different_windows() -> None:
    """After ten epochs almost every token of the larger language has been seen."""
    data = make_mixed_data(1)
    seen = np.zeros(len(data.stream), dtype=bool)
    for epoch in range(1, 11):
        for start in plan_epoch(data, epoch):
            seen[start : start + LENGTH] = True
    assert seen.mean() > 0.995


def test_a_balanced_epoch_can_be_planned_again() -> None:
    """The same seed and epoch give the same windows; another epoch gives others."""
    data = make_mixed_data(0.7)
    assert (plan_epoch(data, 4) == plan_epoch(data, 4)).all()
    assert not np.array_equal(plan_epoch(data, 4), plan_epoch(data, 5))


def test_no_balance_equals_no_mixture() -> None:
    """A balance of 0, or a single language, gives the windows of a training without a mixture."""
    data = make_mixed_data(0)
    assert (plan_epoch(data, 1) == plan_epoch(replace(data, mixture=None), 1)).all()
    alone = replace(data, mixture=Mixture(1, (0,), ("es",), len(data.stream)))
    assert sorted(plan_epoch(alone, 1).tolist()) == sorted(plan_epoch(data, 1).tolist())


def test_a_language_too_small_for_a_window_is_left_alone() -> None:
    """A language in which no window begins has nothing to repeat."""
    data = make_mixed_data(1)
    tiny = replace(data, mixture=Mixture(1, (0, len(data.stream) - 1), ("es", "en"), len(data.stream)))
    assert sorted(plan_epoch(tiny, 1).tolist()) == sorted(plan_epoch(make_mixed_data(0), 1).tolist())


@given(sizes=st.lists(st.integers(1, 10_000), min_size=1, max_size=5), balance=st.floats(0, 1))
def test_shares_keep_the_order_of_the_sizes(sizes: list[int], balance: float) -> None:
    """Shares add up to 1, a larger language never gets less, and the whole numbers add up to the total."""
    shares = balance_shares(np.array(sizes), balance)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares[np.argsort(sizes)]) >= -1e-12).all()
    counts = apportion(shares, 1000)
    assert counts.sum() == 1000
    assert (abs(counts - 1000 * shares) < 1).all()


class LetterTokenizer:
    """One token per character."""

    def encode(self, text: str) -> np.ndarray:
        return np.array([ord(letter) for letter in text], dtype=np.int32)


def test_validation_does_not_change() -> None:
    """Held-out text is the same at every balance, and documents start where the mixture says."""
    documents = [
        Document(
            "Uno", "es", "x", ("Había una vez un niño. ¡Qué feliz estaba! " * 40,), ("Fin del cuento. " * 20,)
        ),
        Document(
            "One", "en", "x", ("Once upon a time there was a girl. " * 20,), ("The end of the story. " * 20,)
        ),
    ]
    plain, balanced = (
        build_data(
            documents, LetterTokenizer(), make_config(language_balance=balance, max_sequence_length=32)
        )
        for balance in (0, 1)
    )
    for one, other in zip(plain.held_out, balanced.held_out, strict=True):
        assert (one.tokens == other.tokens).all()
    assert (plain.stream == balanced.stream).all()
    start = balanced.mixture.document_starts[1]
    assert "".join(map(chr, balanced.stream[start + 1 :])).startswith("Once upon a time")
    assert balanced.language_shares == {"es": 0.5, "en": 0.5}


def test_every_document_has_a_begin_and_an_end() -> None:
    """Texts of one language are beside each other. The line breaks between documents are not learned."""
    tales = tuple(f"Cuento {number}.\nFin.\n\n" for number in range(40))
    documents = [
        Document("Uno", "es", "x", tales[:20], tales[20:23]),
        Document("One", "en", "x", ("A tale. " * 30,), ("The end.\n",)),
        Document("Dos", "es", "x", tales[23:], ()),
    ]
    data = build_data(documents, LetterTokenizer(), make_config(max_sequence_length=32))
    parts = np.split(data.stream, data.document_starts[1:])
    assert all(part[0] == BEGIN_ID and part[-1] == END_ID for part in parts)
    texts = ["".join(map(chr, part[1:-1])) for part in parts]
    assert texts == [*(tale.strip() for tale in tales[:20] + tales[23:]), "A tale. " * 30]
    assert [(text.language, text.tokens[-1]) for text in data.held_out] == [("es", END_ID)] * 3 + [
        ("en", END_ID)
    ]
    assert data.held_out[0].size_bytes == len(tales[20].strip())
    assert find_start_id(documents) == BEGIN_ID
    assert find_start_id(documents[1:2]) == NEWLINE_ID


def test_a_document_with_a_weight_is_one_document() -> None:
    """One book that an epoch sees many times teaches nothing about how documents end."""
    book = Document("One", "en", "x", ("A tale. " * 30,), ("The end.\n",), weight=LEAST_DOCUMENTS)
    data = build_data([book], LetterTokenizer(), make_config(max_sequence_length=256))
    assert len(data.document_starts) == LEAST_DOCUMENTS
    assert data.document_sizes == (len(data.stream) // LEAST_DOCUMENTS,)
    assert not data.has_documents
    assert not data.fits_documents
    assert find_start_id([book]) == NEWLINE_ID
    tales = Document("Tales", "en", "x", tuple(f"Tale {n}." for n in range(LEAST_DOCUMENTS)), ())
    assert build_data([book, tales], LetterTokenizer(), make_config(max_sequence_length=256)).fits_documents


def test_the_corpus_of_an_earlier_version_is_one_stream() -> None:
    """Its documents keep their order and have no ends, so its model is measured as it was trained."""
    documents = [
        Document(str(n), language, "x", (f"Text {n}. " * 9 + "\n",), ("End.\n",), has_ends=False)
        for n, language in enumerate(["es", "en"] * 15)
    ]
    data = build_data(documents, LetterTokenizer(), make_config(max_sequence_length=32))
    assert END_ID not in data.stream
    assert "".join(map(chr, data.stream)) == "".join(
        f"\x01Text {n}. " + f"Text {n}. " * 8 + "\n" for n in range(30)
    )
    assert data.document_starts == ()
    assert find_start_id(documents) == NEWLINE_ID
