"""Prompts are short openings of held-out text, in every script."""

from __future__ import annotations

import pytest

from semilla.corpus.manifest import Document
from semilla.corpus.prompts import OPENING_TOKENS, cut_opening, find_prompts
from semilla.tokenizer.tokenizer import Tokenizer
from semilla.tokenizer.training import train_tokenizer

PROSE = "\n".join(f"{n} niñas miran el río y no dicen nada a nadie." for n in range(10))
CHINESE = "\n".join(
    f"第{n}天老爺爺走到河邊看見一隻小鳥站在樹上唱着一支很好聽的歌風也輕輕地吹過來" for n in range(30)
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    trained = train_tokenizer(
        [PROSE * 4, CHINESE * 4], vocab_size=1000, model_type="unigram", is_size_explicit=False
    )
    return Tokenizer(trained.model)


def make_split(language: str, held_out: str) -> Document:
    return Document("t", language, "s", ("x\n",), (held_out,))


def test_prompts_are_spread_over_the_text_of_each_language(tokenizer: Tokenizer) -> None:
    """The first line of a held-out part is not used, because it may start in the middle of a sentence."""
    found = find_prompts([make_split("es", PROSE), make_split("zh", CHINESE)], tokenizer, per_language=3)
    assert [opening.split()[0] for opening in found["es"]] == ["1", "4", "7"]
    assert [opening[:3] for opening in found["zh"]] == ["第1天", "第10", "第19"]


def test_prompts_of_whole_documents_are_their_beginnings(tokenizer: Tokenizer) -> None:
    """Also of documents of one short line."""
    document = Document("t", "es", "s", ("mira el río\n",), ("Las niñas del río\n", "El río mira\n"))
    openings = find_prompts([document], tokenizer, per_language=20)["es"]
    assert all(
        text.startswith(opening) for text, opening in zip(document.validation_texts, openings, strict=True)
    )


@pytest.mark.parametrize("line", [PROSE.splitlines()[3], CHINESE.splitlines()[3]])
def test_an_opening_is_a_few_tokens_in_every_script(line: str, tokenizer: Tokenizer) -> None:
    """It begins the line, ends between words, and leaves most of the line to the model."""
    opening = cut_opening(line, tokenizer)
    assert line.startswith(opening)
    assert 1 <= len(tokenizer.encode(opening)) <= OPENING_TOKENS
    assert len(opening) < len(line) / 2
    assert " " not in line or line[len(opening)] == " "


def test_a_text_of_short_lines_gives_its_first_words(tokenizer: Tokenizer) -> None:
    """Verse has no long lines, so its lines are used; a text of one line gives its beginning."""
    verse = "Verde que te quiero\nverde. Verde viento.\nVerdes ramas. ¡Ay!\n"
    for opening in find_prompts([make_split("es", verse)], tokenizer, per_language=20)["es"]:
        assert opening in verse
    assert find_prompts([make_split("es", "¡Ay!")], tokenizer, per_language=1)["es"][0] in "¡Ay!"
