"""Whole documents are held out where there are many, and none of their relatives is trained on."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from semilla.corpus.held_out import LONG_SHARE, Candidates, choose_held_out
from semilla.corpus.near_duplicates import Clusters, make_sketch, measure_similarity

WORDS = (
    "sol luna río niña perro casa árbol viento mar noche día camino piedra flor pan queso libro agua".split()
)


def make_text(seed: int, num_words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=num_words)) + f" {seed * 7919}.\n"


class Chosen(NamedTuple):
    """Places of documents."""

    short: frozenset[int]
    held_out: frozenset[int]
    has_relatives: bool


def choose(texts: Sequence[str], *, groups: Sequence[str] = (), num_sketches: int = 10**6) -> Chosen:
    """Choose among texts of one language, of which the first have sketches."""
    found = choose_held_out(
        Candidates(
            np.zeros(len(texts), np.int64),
            np.array([len(text.encode()) for text in texts], np.int64),
            np.array([int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) for text in texts], np.uint64),
            {place: make_sketch(text) for place, text in enumerate(texts[:num_sketches])},
            dict(enumerate(groups)),
        )
    )
    places = (frozenset(np.flatnonzero(mask).tolist()) for mask in (found.short, found.held_out))
    return Chosen(*places, found.has_relatives)


def test_a_tenth_of_many_documents_is_held_out_whole() -> None:
    """At least a tenth of the bytes, and hardly more; the order of the documents does not matter."""
    texts = [make_text(seed) for seed in range(300)]
    choice = choose(texts)
    held_out = {texts[place] for place in choice.held_out}
    share = sum(map(len, held_out)) / sum(map(len, texts))
    assert 0.1 <= share < 0.1 + LONG_SHARE
    assert held_out == {texts[::-1][place] for place in choose(texts[::-1]).held_out}
    assert not choice.has_relatives


def test_near_duplicates_stay_together() -> None:
    """A document, its copy in capitals, and one with two other words are all held out, or none."""
    texts = [make_text(seed) for seed in range(100)]
    texts += [text.upper() for text in texts] + [
        " ".join(["otra", *text.split()[1:-3], "cosa", "más"]) + "\n" for text in texts
    ]
    held_out = choose(texts).held_out
    assert held_out
    assert {place % 100 for place in held_out} == {
        place for place in range(100) if {place, place + 100, place + 200} <= held_out
    }


def test_documents_without_a_sketch_are_held_out_with_equal_ones_only() -> None:
    """Two of three thousand have another beside them that differs in one word, and one that is the same."""
    texts = [make_text(seed) for seed in range(1000)]
    texts += [f"Nada {text}" for text in texts] + texts
    held_out = choose(texts, num_sketches=0).held_out
    assert {place for place in held_out if place >= 2000} == {
        place + 2000 for place in held_out if place < 1000
    }
    assert {place + 1000 for place in held_out if place < 1000} != {
        place for place in held_out if 1000 <= place < 2000
    }


def test_a_group_stays_together() -> None:
    """Stories about one combination are held out together, in both languages."""
    texts = [make_text(seed) for seed in range(200)]
    groups = [f"girl/kite/{place % 50}" for place in range(200)]
    held_out = choose(texts, groups=groups).held_out
    for group in {groups[place] for place in held_out}:
        assert {place for place in range(200) if groups[place] == group} <= held_out


def test_documents_with_a_group_are_related_by_it_alone() -> None:
    """Stories of one plot are much alike: about a tenth of each plot is held out, never a whole plot."""
    plots = [make_text(seed) for seed in range(25)]
    texts = [f"{plots[place % 25]} {place}" for place in range(1000)]
    held_out = choose(texts, groups=[str(place) for place in range(1000)]).held_out
    counts = [sum(place % 25 == plot for place in held_out) for plot in range(25)]
    assert max(counts) < 20
    assert 100 <= len(held_out) < 120


def test_long_documents_are_not_chosen() -> None:
    """Three books are all long; beside two hundred notes a book is long, and the notes are not."""
    assert choose([make_text(seed, 5000) for seed in range(3)]).short == frozenset()
    choice = choose([make_text(1000, 20_000), *(make_text(seed) for seed in range(200))])
    assert choice.short == frozenset(range(1, 201))


def test_documents_that_are_all_alike_are_still_divided() -> None:
    """A tenth is held out, and the choice says that relatives are trained on."""
    texts = [
        f"Esta es la nota número {place} del cuaderno de la niña que vive en la casa.\n"
        for place in range(99)
    ]
    choice = choose(texts)
    assert 0.1 <= len(choice.held_out) / len(texts) < 0.2
    assert choice.has_relatives


def test_similarity_is_the_share_of_common_runs() -> None:
    """1 for the same text in other case and spacing, near 0 for other texts, also without spaces."""
    sketch = make_sketch(make_text(1))
    assert measure_similarity(sketch, make_sketch(make_text(1).upper().replace(" ", "\n  "))) == 1
    assert (
        measure_similarity(sketch, make_sketch("Nothing of this is in the other text, not a word of it."))
        < 0.1
    )
    chinese = "老爺爺走到河邊看見一隻小鳥站在樹上唱着一支很好聽的歌風也輕輕地吹過來大家都笑了"
    assert measure_similarity(make_sketch(chinese), make_sketch(chinese[:-1])) > 0.8
    assert measure_similarity(make_sketch("a"), make_sketch("b")) == 0


@pytest.mark.parametrize("num_copies", [2, 50])
def test_every_copy_is_found(num_copies: int) -> None:
    """Copies with one word changed are one cluster, however many they are."""
    words = make_text(3).split()
    texts = [" ".join([*words[:place], "nuevo", *words[place + 1 :]]) for place in range(num_copies)]
    clusters = Clusters(num_copies)
    clusters.join_similar({place: make_sketch(text) for place, text in enumerate(texts)})
    assert {clusters.find(place) for place in range(num_copies)} == {0}
