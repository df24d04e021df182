"""The reader of stories: it finds nothing wrong with told stories, and everything wrong with spoilt ones."""

from __future__ import annotations

import re
from random import Random

import pytest

from semilla.evaluation.coherence import assess_coherence
from semilla.records.sample import Sample
from semilla.stories.reader import KINDS, Reading, list_known_words, read_story
from semilla.stories.sentences import split_sentences
from semilla.stories.stories import load_library, tell_story
from semilla.stories.terms import LANGUAGES, Language

NUM_STORIES = 82
NAMES = sorted(
    {
        term.text
        for entry in load_library().lexicon.select("girl-name | boy-name")
        for term in entry.terms.values()
    }
)


def tell(language: Language, index: int) -> str:
    return tell_story(language, seed=11, index=index, held_out=index % 5 == 0).text


def find_kinds(text: str, language: Language) -> set[str]:
    return {one.kind for one in read_story(text, language).contradictions}


def replace_once(pattern: str, replacement: str, text: str, *, skip: int) -> str | None:
    """Replace one match of a pattern, after ``skip`` of them; None if there are not as many."""
    places = list(re.finditer(pattern, text))
    if len(places) <= skip:
        return None
    start, end = places[skip].span()
    return text[:start] + places[skip].expand(replacement) + text[end:]


@pytest.mark.parametrize("language", LANGUAGES)
def test_told_stories_have_no_contradiction(language: Language) -> None:
    """Stories of every plot and of held-out combinations, of which it finds the plot too."""
    for index in range(NUM_STORIES):
        story = tell_story(language, seed=11, index=index, held_out=index % 5 == 0)
        reading = read_story(story.text, language)
        assert reading == Reading(story.plot, len(split_sentences(story.text)), ()), story.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_step_that_is_missing_or_twice_is_found(language: Language) -> None:
    """A line left out, and a line told again."""
    for index in range(20):
        lines = tell(language, index).splitlines()
        middle = len(lines) // 2
        for spoilt in (lines[:middle] + lines[middle + 1 :], lines[:middle] + lines[middle - 1 :]):
            assert {"order", "ending"} & find_kinds("\n".join(spoilt), language), spoilt


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_story_without_its_end_is_found(language: Language) -> None:
    """Every story that stops before its last step."""
    for index in range(20):
        lines = tell(language, index).splitlines()
        assert "ending" in find_kinds("\n".join(lines[: len(lines) // 2]), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_another_name_is_found(language: Language) -> None:
    """The hero is suddenly called by a name that nobody has in the story."""
    num_spoilt = 0
    for index in range(30):
        text = tell(language, index)
        told = [name for name in NAMES if re.search(rf"\b{name}\b", text)]
        other = next(name for name in ("Vera", "Zoe", "Alba") if name not in told)
        hero = max(told, key=text.count)
        if spoilt := replace_once(rf"\b{hero}\b", other, text, skip=2):
            num_spoilt += 1
            assert find_kinds(spoilt, language) & {"name", "gender", "not a sentence"}, spoilt
    assert num_spoilt > 20


def test_another_pronoun_is_found() -> None:
    """A hero who is a girl becomes he."""
    num_spoilt = 0
    for index in range(90):
        spoilt = replace_once(r"\bshe\b", "he", tell("en", index), skip=0)
        if spoilt:
            num_spoilt += 1
            assert find_kinds(spoilt, "en") & {"gender", "not a sentence"}, spoilt
    assert num_spoilt > 5


def test_another_object_and_another_colour_are_found() -> None:
    """A lost toy that is another one when it is found."""
    index = next(i for i in range(400) if tell_story("en", seed=3, index=i, grade=1).plot == "lost_toy")
    text = tell_story("en", seed=3, index=index, grade=1).text
    kinds = set()
    lexicon = load_library().lexicon
    for tag in ("toy pocket", "colour", "look"):
        words = [entry.terms["en"].text for entry in lexicon.select(tag)]
        told = next((word for word in words if re.search(rf"\b{word}\b", text)), None)
        other = next(word for word in words if word != told)
        if told and (spoilt := replace_once(rf"\b{told}\b", other, text, skip=1)):
            kinds |= find_kinds(spoilt, "en")
    assert "object" in kinds


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_word_that_does_not_exist_is_found(language: Language) -> None:
    """In whatever sentence it stands."""
    rng = Random(5)
    for index in range(20):
        words = tell(language, index).split(" ")
        words[rng.randrange(len(words))] = "pluau"
        assert "invented word" in find_kinds(" ".join(words), language)


def test_another_language_and_another_story_are_found() -> None:
    """A sentence of the Spanish twin, and one of another plot."""
    stories = [tell_story("en", seed=11, index=index) for index in range(12)]
    other = next(story for story in stories if story.plot != stories[0].plot)
    lines = stories[0].text.splitlines()
    spanish = tell("es", 3).splitlines()[1]
    assert find_kinds("\n".join([*lines[:2], spanish, *lines[2:]]), "en") & {
        "other language",
        "invented word",
    }
    foreign = other.text.splitlines()[2]
    assert find_kinds("\n".join([*lines[:2], foreign, *lines[2:]]), "en") & {"other story", "order"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_shuffled_sentences_are_no_story(language: Language) -> None:
    """No story holds together when its sentences are in another order."""
    rng = Random(2)
    for index in range(20):
        sentences = split_sentences(tell(language, index))
        shuffled = rng.sample(sentences, len(sentences))
        assert find_kinds("\n".join(shuffled), language) & {"order", "ending"}


def test_what_is_no_story_at_all_is_read_without_a_plot() -> None:
    """Other text, nothing, and a lone surrogate."""
    for text in ("The stock market fell.", "", "\ud800", "—", '"', "1\n2"):
        reading = read_story(text, "en")
        assert not reading.is_coherent
        assert {one.kind for one in reading.contradictions} <= set(KINDS)


def test_every_word_of_a_story_is_known() -> None:
    """Words that only the grammar's last pass writes are among them."""
    for language in LANGUAGES:
        words = set(re.findall(r"[^\W\d_]+", " ".join(tell(language, index).lower() for index in range(40))))
        assert words <= list_known_words(language)
    assert {"an"} <= list_known_words("en")
    assert {"del", "al"} <= list_known_words("es")


def test_only_a_story_that_ended_by_itself_is_coherent() -> None:
    """Of two equal stories, the one that was cut at the limit does not count."""
    text = tell("en", 1)
    samples = [Sample(language="en", prompt="", text=text, ended=ended) for ended in ("itself", "limit")]
    found = assess_coherence({"en": samples, "fr": samples})
    assert list(found) == ["en"]
    assert (found["en"].share, found["en"].num_stories, found["en"].contradictions) == (0.5, 2, {})
