"""Single stories: layout, paired punctuation, no remains of templates."""

from __future__ import annotations

import re
from collections import Counter
from random import Random

import pytest

from semilla.stories.plots import Character, choose_facts
from semilla.stories.stories import Story, capitalise, lay_out, load_library, tell_story
from semilla.stories.terms import LANGUAGES

NUM_STORIES = 600


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return [
        tell_story(language, seed=5, index=index) for language in LANGUAGES for index in range(NUM_STORIES)
    ]


def test_no_rest_of_a_template_is_left(stories: list[Story]) -> None:
    """Braces, brackets, bars, slashes, underscores and double spaces never occur in a story."""
    for story in stories:
        assert not re.search(r"[\[\]{}|_@=\\]|//|  ", story.text), story.text


def test_english_quotation_marks_pair(stories: list[Story]) -> None:
    """Every line of an English story closes the quotations that it opens."""
    for story in stories:
        if story.language == "en":
            assert all(line.count('"') % 2 == 0 for line in story.text.split("\n")), story.text


def test_spanish_marks_pair(stories: list[Story]) -> None:
    """¿ closes with ?, ¡ with !, « with », each before another of its kind opens."""
    for story in stories:
        if story.language == "es":
            for opening, closing in ("¿?", "¡!", "«»"):
                marks = "".join(re.findall(f"[{opening}{closing}]", story.text))
                assert re.fullmatch(f"(?:{opening}[{closing}])*", marks), story.text


def test_spanish_dashes_stand_where_speech_begins_or_is_interrupted(stories: list[Story]) -> None:
    """A raya starts a line, comes after a space before the narrator's words, or closes them."""
    for story in stories:
        if story.language == "es":
            for line in story.text.split("\n"):
                for match in re.finditer("—", line):
                    before, after = line[: match.start()], line[match.end() :]
                    assert not before or before.endswith(" ") or re.match(r"[.,:;]?(?: |$)", after), line


def test_every_sentence_begins_with_a_capital(stories: list[Story]) -> None:
    """Every line and every sentence starts with a capital letter."""
    for story in stories:
        assert not re.search(r'(?m)^[—"«¿¡]*[a-zñáéíóú]', story.text), story.text
        assert not re.search(r'[.!?] ["«¿¡]*[a-zñáéíóú]', story.text), story.text


def test_every_line_ends_with_a_mark(stories: list[Story]) -> None:
    """A paragraph ends with a full stop, a mark, or the end of a quotation."""
    for story in stories:
        assert all(re.search(r'[.!?:"»]$', line) for line in story.text.split("\n")), story.text


def test_spanish_is_contracted(stories: list[Story]) -> None:
    """De el and a el never occur, and y is e before an i."""
    for story in stories:
        if story.language == "es":
            assert not re.search(r"\b(?:[Dd]e|[Aa]) el\b|\by [IiíÍ]|\bo [OoÓó]", story.text), story.text


def test_english_articles_fit_the_next_word(stories: list[Story]) -> None:
    """An comes before vowel sounds, and only there."""
    for story in stories:
        if story.language == "en":
            assert not re.search(
                r"\b[Aa] (?!one\b|unicorn|use|uni|uku|eu)[aeiou]|\b[Aa] honest", story.text
            ), story.text
            assert not re.search(r"\b[Aa]n (?!honest|hour)[^aeiouéAEIOU]", story.text), story.text


def test_a_story_has_a_moderate_length(stories: list[Story]) -> None:
    """Stories are short enough for a small context and long enough to have an end."""
    sizes = [len(story.text.encode()) for story in stories]
    assert min(sizes) > 80
    assert max(sizes) < 2_500


def test_every_plot_is_told_before_any_is_told_again() -> None:
    """Plots are dealt like cards."""
    told = [tell_story("en", seed=1, index=index) for index in range(len(load_library().plots))]
    alone = Counter(story.plot for story in told if not story.is_twin)
    assert set(alone.values()) == {1}


def test_two_characters_never_share_an_initial() -> None:
    """In a story, names have different initials in both languages, and animals are of different kinds."""
    library = load_library()
    for seed in range(40):
        for plot in library.plots:
            facts = choose_facts(plot, Random(seed), library.lexicon)
            cast = [fact for fact in facts.values() if isinstance(fact, Character)]
            for language in LANGUAGES:
                initials = [character.name.terms[language].text[0] for character in cast]
                assert len(set(initials)) == len(initials)
            for character in cast:
                assert character.name.terms["es"].gender == character.kind.terms["es"].gender


def test_paragraphs_and_speeches_are_laid_out() -> None:
    """Narration is joined, speech has its own line, // starts a new line."""
    pieces = ["había una vez", "un ñandú.", "—¡hola! —dijo. // se fue.", "volvió.", "// fin. 🌱"]
    assert lay_out(pieces) == "Había una vez Un ñandú.\n—¡Hola! —dijo.\nSe fue. Volvió.\nFin. 🌱"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"where?" asked Ana. she looked.', '"Where?" asked Ana. She looked.'),
        ("—¿dónde? —preguntó él—. no sé.", "—¿Dónde? —preguntó él—. No sé."),
        ("ñ. ¿qué? ¡ay! «ojalá».", "Ñ. ¿Qué? ¡Ay! «Ojalá»."),
    ],
)
def test_sentences_are_capitalised_but_not_the_narrator(text: str, expected: str) -> None:
    """Words after a closing quotation mark or a raya stay in lower case."""
    assert capitalise(text) == expected
