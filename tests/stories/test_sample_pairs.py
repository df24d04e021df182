"""Each pair is a sentence of a held-out story and the same with one mistake, which really is a mistake."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from semilla.stories.documents import generate_corpus
from semilla.stories.heldout import is_held_out
from semilla.stories.minimal_pairs import PAIRS_PER_PHENOMENON, MinimalPair, make_pairs
from semilla.stories.minimal_pairs.english import list_english_mistakes
from semilla.stories.minimal_pairs.pairs import MAX_STORIES, split_sentences
from semilla.stories.minimal_pairs.spanish import list_spanish_mistakes
from semilla.stories.stories import tell_story
from semilla.stories.terms import LANGUAGES, Language

LOCAL = {
    "en": "a_an bare_infinitive comparative irregular_past negation plural_after_number".split(),
    "es": """article_gender article_number clitic_position comparison perfect_participle plural_after_number
        tu_usted""".split(),
}
"""Phenomena whose mistake is visible from the neighbouring words."""


@cache
def make_all(language: Language) -> list[MinimalPair]:
    return make_pairs(language, seed=0)


def spoil(language: str, phenomenon: str, sentence: str) -> list[str]:
    mistakes = list_english_mistakes() if language == "en" else list_spanish_mistakes()
    return [twin for mistake in mistakes[phenomenon] for twin in mistake.make_twins(sentence)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_enough_pairs(language: Language) -> None:
    """In each language at least eight phenomena have all two hundred pairs, and none has only a few."""
    counts = Counter(pair.phenomenon for pair in make_all(language))
    assert sum(count == PAIRS_PER_PHENOMENON for count in counts.values()) >= 8
    assert min(counts.values()) >= 15
    assert max(counts.values()) == PAIRS_PER_PHENOMENON


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_seed_gives_the_same_pairs(language: Language) -> None:
    """Asking for fewer pairs gives the first of them; another seed gives other pairs."""
    few = make_pairs(language, seed=0, per_phenomenon=3)
    assert few == make_pairs(language, seed=0, per_phenomenon=3)
    assert set(few) <= set(make_all(language))
    assert few != make_pairs(language, seed=1, per_phenomenon=3)


@pytest.mark.parametrize("language", LANGUAGES)
def test_pairs_come_from_held_out_stories(language: Language) -> None:
    """Each sentence is from a story about a combination that no training story has."""
    stories = [tell_story(language, seed=0, index=index, held_out=True) for index in range(MAX_STORIES)]
    assert all(is_held_out(story.combination) for story in stories)
    sentences = {sentence for story in stories for sentence in split_sentences(story.text)}
    assert {pair.right for pair in make_pairs(language, seed=0, per_phenomenon=2)} <= sentences


@pytest.mark.parametrize("language", LANGUAGES)
def test_twins_differ_minimally(language: Language) -> None:
    """All but one to three neighbouring words are the same."""
    for pair in make_all(language):
        right, wrong = pair.right.split(), pair.wrong.split()
        before = next((i for i, (a, b) in enumerate(zip(right, wrong, strict=False)) if a != b), len(wrong))
        rest = min(len(right), len(wrong)) - before
        from_the_end = zip(reversed(right[before:]), reversed(wrong[before:]), strict=False)
        after = next((i for i, (a, b) in enumerate(from_the_end) if a != b), rest)
        assert pair.right != pair.wrong
        assert max(len(right), len(wrong)) - before - after <= 3, pair


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_local_mistake_is_never_made_by_the_stories(language: Language) -> None:
    """The wrong words with their neighbours occur nowhere in a megabyte of stories."""
    text = next(one.text for one in generate_corpus(seed=5, size_bytes=1 << 20) if one.language == language)
    grams = set(zip(*(re.findall(r"[\w'-]+", text)[shift:] for shift in range(3)), strict=False))
    assert len(grams) > 10_000
    for pair in make_all(language):
        if pair.phenomenon in LOCAL[language]:
            wrong, right = re.findall(r"[\w'-]+", pair.wrong), re.findall(r"[\w'-]+", pair.right)
            trigrams = [set(zip(words, words[1:], words[2:], strict=False)) for words in (wrong, right)]
            new = trigrams[0] - trigrams[1]
            assert not new or not new <= grams, pair


EXAMPLES = [
    ("en", "a_an", "She saw an owl.", "She saw a owl."),
    ("en", "a_an", "He had a kite.", "He had an kite."),
    ("en", "be_agreement", "Emma and Hugo were glad.", "Emma and Hugo was glad."),
    ("en", "bare_infinitive", "We will go home.", "We will went home."),
    ("en", "comparative", "It was bigger than a house.", "It was more bigger than a house."),
    ("en", "irregular_past", "Nora had taken it.", "Nora had took it."),
    ("en", "negation", "He did not see it.", "He did not saw it."),
    ("en", "plural_after_number", "I have two red kites.", "I have two red kite."),
    ("en", "pronoun_case", "She went with him.", "She went with he."),
    ("en", "question_inversion", "Where is my kite?", "Where my kite is?"),
    ("en", "reflexive_gender", "Nora made herself small.", "Nora made himself small."),
    ("en", "relative_agreement", "There was a boy who was shy.", "There was a boy who were shy."),
    ("en", "third_person_s", "Emma wants to sing.", "Emma want to sing."),
    ("es", "adjective_gender", "Tenía una pelota roja.", "Tenía una pelota rojo."),
    ("es", "adjective_number", "Tenía unas pelotas rojas.", "Tenía unas pelotas roja."),
    ("es", "article_gender", "La pelota no estaba.", "El pelota no estaba."),
    ("es", "article_number", "Vio los globos.", "Vio el globos."),
    ("es", "clitic_gender", "Ana tenía una pelota y la llevaba.", "Ana tenía una pelota y lo llevaba."),
    ("es", "clitic_number", "Ana le dio un beso a Lucas.", "Ana les dio un beso a Lucas."),
    ("es", "clitic_position", "No lo encuentro.", "No encuentro lo."),
    ("es", "comparison", "Era más alto que Ana.", "Era más alto como Ana."),
    ("es", "gustar_agreement", "Le gustaba cantar.", "Le gustaban cantar."),
    ("es", "negation", "No dijo nada.", "Ya dijo nada."),
    ("es", "opening_marks", "¿Dónde está?", "Dónde está?"),
    ("es", "participle_agreement", "Ana estaba cansada.", "Ana estaba cansado."),
    ("es", "perfect_participle", "La había perdido.", "La había perdida."),
    ("es", "plural_after_number", "Vio dos globos.", "Vio dos globo."),
    ("es", "predicate_gender", "Lucas era pequeño.", "Lucas era pequeña."),
    ("es", "ser_estar", "Lucas era un niño.", "Lucas estaba un niño."),
    ("es", "tu_usted", "—¿Puede usted venir?", "—¿Puedes usted venir?"),
    ("es", "verb_number", "Lucas miró al cielo.", "Lucas miraron al cielo."),
]


@pytest.mark.parametrize(("language", "phenomenon", "right", "wrong"), EXAMPLES)
def test_a_mistake_by_hand(language: str, phenomenon: str, right: str, wrong: str) -> None:
    """One example of each phenomenon."""
    assert wrong in spoil(language, phenomenon, right)


def test_every_phenomenon_has_an_example() -> None:
    """The table has an example of every phenomenon."""
    shown = {(language, phenomenon) for language, phenomenon, _, _ in EXAMPLES}
    assert shown == {
        *(("en", name) for name in list_english_mistakes()),
        *(("es", name) for name in list_spanish_mistakes()),
    }


@pytest.mark.parametrize(
    ("language", "phenomenon", "sentence"),
    [
        ("en", "be_agreement", "She wondered if it was far."),
        ("en", "reflexive_gender", "Nora and Hugo saw that he hurt himself."),
        ("en", "plural_after_number", "There was one kite."),
        ("es", "article_gender", "Volaba la cometa."),
        ("es", "article_gender", "Bebió el agua."),
        ("es", "article_number", "Llegó el miércoles por la noche."),
        ("es", "clitic_gender", "Ana tenía un globo y una pelota, y la llevaba."),
        ("es", "clitic_number", "Le dio las monedas a Ana y a Lucas."),
        ("es", "clitic_number", "Le gustaba mucho llevar flores a su abuela."),
        ("es", "gustar_agreement", "Le gustaba el pan y el queso."),
    ],
)
def test_what_might_be_right_is_left_alone(language: str, phenomenon: str, sentence: str) -> None:
    """Where the other form is correct too, no pair is made."""
    assert spoil(language, phenomenon, sentence) == []


def test_speech_stays_in_one_sentence() -> None:
    """A quotation is never split, and only sentences of a usual length count."""
    text = '"No. I do not know," said Leo. He went to the old mill.\nYes.\n«¿Dónde? ¡No lo sé!», pensó ella al fin.'
    assert list(split_sentences(text)) == [
        '"No. I do not know," said Leo.',
        "He went to the old mill.",
        "«¿Dónde? ¡No lo sé!», pensó ella al fin.",
    ]
