"""What is measured of a text: the hashes of words do not depend on how they are found, and keys are found again."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.corpus import duplicates, traits
from semilla.corpus.duplicates import KeySet
from semilla.corpus.split import hash_long_lines
from semilla.corpus.traits import TextTraits, find_paragraphs, measure_text

LETTERS = "abÁñ é.,_ -—“”İß\u0301字٣ \t"
LINE = (
    "—¿Por qué llegas tan tarde? —Mañana, dijo la niña; y «nadie» le creyó: the river was far away, and the old house "
    "stood empty"
)


def draw_text(seed: int, *, num_lines: int, letters: str = LETTERS) -> str:
    draw = random.Random(seed)
    return "\n".join("".join(draw.choices(letters, k=draw.randrange(300))) for _ in range(num_lines))


@pytest.mark.parametrize("letters", [LETTERS, LETTERS + "🦊🌱", "ab ", "—. "])
def test_words_are_found_the_same_in_short_and_long_texts(
    letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many lines are searched at once, and every paragraph has the same hash as by itself."""
    text = draw_text(1, num_lines=300, letters=letters)
    lines = text.split("\n")
    monkeypatch.setattr(traits, "_BLOCK_CHARACTERS", 1000)
    at_once = find_paragraphs(text, compares_similar=False)
    monkeypatch.setattr(traits, "_BLOCK_CHARACTERS", 1 << 30)
    alone = find_paragraphs(text, compares_similar=False)
    assert at_once.places.tolist() == alone.places.tolist()
    assert at_once.keys.tolist() == alone.keys.tolist()
    assert [len(lines[place]) >= 120 for place in range(len(lines))].count(True) == len(alone.keys) > 50


@pytest.mark.parametrize("size", [100, 1 << 18])
def test_words_count_without_case_and_punctuation(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines have one hash if and only if their words are the same in the same order, also in a long text."""
    changed = [
        LINE.upper(),
        LINE.replace("—", "").replace("; ", "\t--"),
        LINE.replace("niña", "nina"),
        LINE + "s",
        LINE.replace("the river", "theriver"),
    ]
    monkeypatch.setattr(traits, "_BLOCK_CHARACTERS", size)
    lines = [LINE, *changed, LINE]
    keys = find_paragraphs("\n".join(lines), compares_similar=False).keys.tolist()
    words = [re.findall(r"\w+", line.casefold()) for line in lines]
    firsts = [words.index(one) for one in words]
    assert [keys.index(key) for key in keys] == firsts
    assert len(set(keys)) == 4


@given(st.lists(st.lists(st.integers(-9, 9), max_size=8), max_size=12), st.integers(1, 12))
def test_keys_are_found_again_up_to_a_limit(groups: list[list[int]], limit: int) -> None:
    """As in a set that stops growing; the keys that are sorted together are found as well."""
    keys, known = KeySet(limit), set[int]()
    for group in groups:
        found = keys.find(np.array(group, np.int64), num_recent=2)
        for key, is_known in zip(group, found, strict=True):
            assert is_known == (key in known)
            if len(known) < limit:
                known.add(key)


def test_the_index_of_keys_is_bounded() -> None:
    """A million keys take 8 bytes each once they are sorted."""
    assert duplicates.MAX_PARAGRAPHS == 1_000_000
    keys = KeySet(200_000)
    keys.find(np.arange(150_000))
    assert keys.find(np.arange(149_998, 150_002)) == [True, True, False, False]
    assert keys.size_bytes < 8 * 151_000


@pytest.mark.parametrize("cut", ["line", "word"])
def test_traits_come_back_from_built_in_types(cut: str) -> None:
    """A text of one document, cut at a line or inside one, and one of several documents."""
    text = draw_text(2, num_lines=40) if cut == "line" else draw_text(2, num_lines=40).replace("\n", " ")
    for parts in ((), (text[:1000], text[1000:])):
        measured = measure_text(text, parts)
        packed = measured.pack()
        again = TextTraits.unpack(packed)
        assert again.pack() == packed
        assert again.documents[0].span.lines.tolist() == hash_long_lines(parts[0] if parts else text).tolist()
        assert sum(one.size_bytes for one in again.halves) == len(text.encode())
        assert [one.span.num_characters for one in again.documents] == list(map(len, parts or (text,)))
