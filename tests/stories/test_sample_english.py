"""English: plurals, articles, comparison, pronouns, phrases."""

from __future__ import annotations

import pytest

from semilla.errors import InternalError
from semilla.stories.english import English, compare, pluralise
from semilla.stories.stories import load_library
from semilla.stories.terms import Term

PLURALS = """
kite kites, box boxes, bench benches, brush brushes, glass glasses, berry berries, day days, toy toys, potato potatoes,
piano pianos, leaf leaves, scarf scarves, mouse mice, dormouse dormice, goose geese, sheep sheep, deer deer,
calf calves, bottle of water bottles of water, loaf of nut bread loaves of nut bread,
apple pie apple pies, octopus octopuses
"""


@pytest.fixture(scope="module")
def english() -> English:
    grammar = load_library().grammars["en"]
    assert isinstance(grammar, English)
    return grammar


def noun(text: str, *, form: str = "", plural: str = "", **features: bool) -> Term:
    return Term(text, "noun", form=form, plural=plural, **features)


def test_plurals_of_the_lexicon_are_right(english: English) -> None:
    """The rule and the listed exceptions agree with a list written by hand."""
    expected = {}
    for pair in PLURALS.replace("\n", " ").split(","):
        words = pair.split()
        expected[" ".join(words[: len(words) // 2])] = " ".join(words[len(words) // 2 :])
    found = {}
    for entry in load_library().lexicon.entries:
        if entry.terms["en"].part == "noun" and entry.terms["en"].text in expected:
            found[entry.terms["en"].text] = english.render_phrase([entry.get_term("en", "pl")])
    assert len(found) > 5
    assert found == {word: expected[word] for word in found}
    assert pluralise("box") == "boxes"
    assert pluralise("day") == "days"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a owl and a unicorn", "an owl and a unicorn"),
        ("A honest girl ate a egg", "An honest girl ate an egg"),
        ("a one-eyed cat, a useful hour, a hour", "a one-eyed cat, a useful hour, an hour"),
        ("Anna saw a iris", "Anna saw an iris"),
    ],
)
def test_the_article_follows_the_sound(english: English, text: str, expected: str) -> None:
    """An comes before a vowel sound, not before every vowel letter."""
    assert english.finish(text) == expected


@pytest.mark.parametrize(
    ("adjective", "comparative", "superlative"),
    [
        ("big", "bigger", "biggest"),
        ("new", "newer", "newest"),
        ("soft", "softer", "softest"),
        ("pretty", "prettier", "prettiest"),
        ("large", "larger", "largest"),
        ("little", "smaller", "smallest"),
        ("good", "better", "best"),
        ("beautiful", "more beautiful", "most beautiful"),
        ("curious", "more curious", "most curious"),
    ],
)
def test_adjectives_are_compared(adjective: str, comparative: str, superlative: str) -> None:
    """Short adjectives take endings, long ones take more and most."""
    assert (compare(adjective, "er"), compare(adjective, "est")) == (comparative, superlative)


def test_an_article_before_a_plural_or_a_mass_becomes_some(english: English) -> None:
    """A kite, but some boots and some bread."""
    article, red = Term("a", "literal"), Term("red", "adjective")
    assert english.render_phrase([article, red, noun("kite")]) == "a red kite"
    assert english.render_phrase([article, noun("boots", is_plural=True)]) == "some boots"
    assert english.render_phrase([article, noun("bread", is_mass=True)]) == "some bread"
    assert english.render_phrase([article, noun("kite", form="pl")]) == "some kites"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Term("Luna", "name", gender="f", is_animate=True), "she her her herself was likes"),
        (Term("owl", "noun", gender="m", is_animate=True), "he him his himself was likes"),
        (noun("kite"), "it it its itself was likes"),
        (noun("boots", is_plural=True), "they them their themselves were like"),
        (noun("berry", form="pl"), "they them their themselves were like"),
    ],
)
def test_pronouns_and_verbs_agree(english: English, target: Term, expected: str) -> None:
    """He, she, it and they, each with their forms and their verbs."""
    words = [Term(word, "literal") for word in ("he", "him", "his", "himself")]
    words += [Term("be", "literal", form="past"), Term("like", "literal", form="present")]
    assert english.render_phrase(words, target=target) == expected


def test_a_word_without_forms_cannot_agree(english: English) -> None:
    """A typing mistake after a colon is an error, not text."""
    with pytest.raises(InternalError, match="shee"):
        english.render_phrase([Term("shee", "literal")], target=noun("kite"))
