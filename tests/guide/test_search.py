"""The guide is searched by names and by the words people use."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from semilla.guide.chapters import DocumentSection, Part, parse_chapter
from semilla.guide.documentation import TrainingDocumentation, load_documentation, read_wordings
from semilla.guide.pages import parse_page
from semilla.guide.search import Term, find_named, list_places, look_up, name_place
from semilla.guide.troubleshooting import parse_entries
from semilla.guide.words import list_words, strip_ending

QUESTIONS = tomllib.loads((Path(__file__).parent / "questions.toml").read_text(encoding="utf-8"))["question"]
PROBLEMS = tomllib.loads((Path(__file__).parent / "problems.toml").read_text(encoding="utf-8"))["problem"]
FIRST_SHARE, EARLY_SHARE = 0.75, 0.9
"""Of the questions, at least so many are answered by the first place that is found, and by one of the first three."""


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("oom", "oom"),
        ("disk_space", "disk_space"),
        ("disk-space", "disk_space"),
        ("loss not decreasing", "loss"),
        ("my losses do not decrease", "loss"),
        ("disk full", "disk_space"),
        ("out of memory", "oom"),
        ("training is slow", "speed"),
        ("val_loss much worse than training", "overfitting"),
        ("it repeats itself", "repetition"),
        ("proxy", "network"),
        ("wrong language", "language"),
        ("Ctrl-C", "interrupted"),
    ],
)
def test_search_finds_topics_and_symptoms(words, topic):
    """A topic finds its entry, and so do the words people use for a symptom."""
    assert name_place(look_up(load_documentation(), words.split()).places[0]) == topic


def rank_answer(question: dict[str, Any], *, kind: str = "text") -> int:
    """The rank of the first right place, from 0; a thousand if none is found."""
    found = [name_place(place) for place in look_up(load_documentation(), question[kind].split()).places]
    return next((rank for rank, name in enumerate(found) if name in question["places"]), 1000)


@pytest.mark.parametrize("is_held_back", [False, True], ids=["seen", "held back"])
def test_questions_lead_to_their_answers(is_held_back):
    """Most questions are answered by the first place, and nearly all by one of the first three."""
    questions = [one for one in QUESTIONS if one.get("held_back", False) is is_held_back]
    assert Counter(one["kind"] for one in questions) == {"sentence": 15, "query": 15}
    ranks = [rank_answer(question) for question in questions]
    assert sum(rank == 0 for rank in ranks) >= FIRST_SHARE * len(ranks)
    assert sum(rank < 3 for rank in ranks) >= EARLY_SHARE * len(ranks)


@pytest.mark.parametrize("kind", ["sentence", "query"])
def test_reported_problems_lead_to_their_answers(kind):
    """So do the problems that people reported elsewhere, told in a sentence or in a few words."""
    ranks = [rank_answer(problem, kind=kind) for problem in PROBLEMS]
    assert sum(rank == 0 for rank in ranks) >= FIRST_SHARE * len(ranks)
    assert sum(rank < 3 for rank in ranks) >= EARLY_SHARE * len(ranks)


def test_places_that_answer_problems_exist():
    """A place that was renamed could never be found."""
    names = {name_place(place) for place in list_places(load_documentation())}
    assert {place for problem in PROBLEMS for place in problem["places"]} <= names


def test_most_reported_problems_are_answered_or_prevented():
    """Each problem was reported in another place, and most have an answer."""
    assert len({problem["report"] for problem in PROBLEMS}) == len(PROBLEMS) == 142
    verdicts = Counter(problem["verdict"] for problem in PROBLEMS)
    assert verdicts.keys() <= {"answered", "prevented", "partly", "not"}
    assert verdicts["answered"] + verdicts["prevented"] >= 0.9 * len(PROBLEMS)


def test_the_answers_of_the_questions_exist():
    """Every place that a question names is a place of the guide."""
    names = {name_place(place) for place in list_places(load_documentation())}
    assert [one for question in QUESTIONS for one in question["places"] if one not in names] == []


@pytest.mark.parametrize("words", [["zzzz"], ["¿?"], ["the"], [""]])
def test_search_finds_nothing_for_nothing(words):
    """Unknown words and stop words find no entry."""
    assert look_up(load_documentation(), words).places == []


ENTRIES = """### loss: the loss is not falling

- **Symptom**: no change
- **Causes**: the seed
- **Solutions**: water
- **Related**: [tree](01-tree.md)
"""
TREE = parse_chapter(
    "# Trees\n<!--\nid: tree\nteaches: hoja\n-->\n\n## Why leaves fall\n\nFor want of water.\n",
    file_name="01-tree.md",
)
GUIDE = TrainingDocumentation(
    (TREE,),
    {},
    {"hoja": "A leaf. It falls.", "water": "Wet."},
    parse_entries(ENTRIES),
    wordings={"loss": ("my curve is stuck", "nothing grows"), "hoja": ("curve of a leaf",)},
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("loss", "TroubleshootingEntry"),
        ("tree", "DocumentSection"),
        ("TREE", "DocumentSection"),
        ("tree#why leaves fall", "Part"),
        ("tree#why-leaves-fall", "Part"),
        ("Hoja", "Term"),
    ],
)
def test_names_are_found_however_they_are_written(name, kind):
    """Capitals, hyphens, underscores and spaces make no difference to a name."""
    assert type(find_named(GUIDE, name)).__name__ == kind
    assert find_named(GUIDE, f"{name}s") is None


def test_what_is_named_goes_before_what_is_about_it():
    """The rest is ordered by how many words of the question it has, and where."""
    assert [name_place(place) for place in look_up(GUIDE, ["water"]).places] == [
        "water",
        "loss",
        "tree#why-leaves-fall",
    ]
    found = look_up(GUIDE, ["leaves", "falling"]).places
    assert [name_place(place) for place in found] == ["tree#why-leaves-fall", "loss", "hoja"]


def test_a_term_knows_where_it_is_taught():
    """A term comes with its definition and the chapter that explains it first."""
    assert find_named(GUIDE, "hoja") == Term("hoja", "A leaf. It falls.", "tree")
    assert find_named(GUIDE, "water") == Term("water", "Wet.", None)


def test_chapters_and_parts_are_told_apart():
    """The id of a chapter finds the whole chapter, the id of a part its section."""
    assert isinstance(find_named(GUIDE, "tree"), DocumentSection)
    part = find_named(GUIDE, "tree#why-leaves-fall")
    assert isinstance(part, Part)
    assert part.content == "## Why leaves fall\n\nFor want of water.\n"


def test_a_wording_finds_its_place():
    """What people call a problem finds its entry, although the entry does not show these words."""
    assert [name_place(place) for place in look_up(GUIDE, ["stuck"]).places] == ["loss"]
    assert [name_place(place) for place in look_up(GUIDE, "a curve that is stuck".split()).places] == [
        "loss",
        "hoja",
    ]


def test_every_wording_belongs_to_a_place_once():
    """A wording of a place that was renamed would never be compared; one that two places have decides nothing."""
    wordings = read_wordings()
    assert wordings.keys() <= {name_place(place) for place in list_places(load_documentation())}
    assert {entry.topic for entry in load_documentation().troubleshooting_guide} <= wordings.keys()
    lines = Counter(line for lines in wordings.values() for line in lines)
    assert [line for line, count in lines.items() if count > 1 or not list_words(line)] == []


def test_a_place_that_is_hardly_ahead_is_doubtful():
    """Two places with the same words leave a doubt; a place that alone has the words, or has the name, does not."""
    parts = parse_page("# All\n\n## Red sea\n\nx\n\n## Red land\n\nx\n\n## Green tree\n\nx\n", "all")
    guide = TrainingDocumentation((), {}, {}, (), tuple(parts))
    assert look_up(guide, ["red"]).is_doubtful
    assert not look_up(guide, ["tree"]).is_doubtful
    assert not look_up(guide, ["nothing"]).is_doubtful
    assert not look_up(load_documentation(), ["loss"]).is_doubtful


def test_a_place_is_found_once():
    """An entry and a term with the same name are one place: the command shows the entry."""
    found = [
        name_place(place) for place in look_up(load_documentation(), ["overfitting", "validation"]).places
    ]
    assert len(found) == len(set(found))


def test_a_rare_word_counts_more_than_a_frequent_one():
    """A word that every place has decides nothing; one that only one place has does."""
    parts = parse_page("# All\n\n## Sky\n\nred red red\n\n## Sea\n\nred\n\n## Land\n\nred tree\n", "all")
    guide = TrainingDocumentation((), {}, {}, (), tuple(parts))
    assert name_place(look_up(guide, ["tree", "red"]).places[0]) == "all#land"


def test_a_page_is_found_by_its_name_and_searched_by_its_parts():
    """The documentation outside the guide is found, too. A line in a code block is no heading."""
    parts = list(parse_page("# Árbol\n\nyes\n\n```sh\n## no\n```\n\n## Hojas\n\ngreen\n", "tree"))
    assert [part.section_id for part in parts] == ["tree", "tree#árbol", "tree#hojas"]
    guide = TrainingDocumentation((), {}, {}, (), tuple(parts))
    assert find_named(guide, "tree") == parts[0]
    assert look_up(guide, ["green"]).places == [parts[2]]


def test_every_page_of_the_documentation_is_searched():
    """The pages beside the guide are in it by their names, but for the table of wrong commands."""
    names = {path.stem for path in (Path(__file__).parents[2] / "docs").glob("*.md")} - {"README", "mistyped"}
    found = {page.section_id for page in load_documentation().pages if "#" not in page.section_id}
    assert found == names | {"contents", "glossary", "problems", "solutions"}
    packaged = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert [
        name for name in names if f'"docs/{name}.md" = "semilla/guide/pages/{name}.md"' not in packaged
    ] == []


@pytest.mark.parametrize(
    "words",
    [
        "decreases decreasing decreased decrease",
        "loss losses",
        "repeats repeating repeated",
        "memorize memorizing memorise",
    ],
)
def test_forms_of_a_word_are_the_same(words):
    """Endings make no difference."""
    assert len({strip_ending(word) for word in words.split()}) == 1


def test_names_of_exceptions_are_found_by_their_words():
    """A name in capitals is found as a whole and by its parts; stop words are left out."""
    assert list_words("the MemoryError of my_text") == [
        strip_ending(one) for one in ("memoryerror", "memory", "error", "text")
    ]
