"""The guide is searched by names and by the words people use."""

from __future__ import annotations

import pytest

from semilla.guide.chapters import DocumentSection, Part, parse_chapter
from semilla.guide.documentation import TrainingDocumentation, load_documentation
from semilla.guide.search import Term, find_named, look_up, name_place
from semilla.guide.troubleshooting import parse_entries


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
    assert name_place(look_up(load_documentation(), words.split())[0]) == topic


@pytest.mark.parametrize("words", [["zzzz"], ["¿?"], ["the"], [""]])
def test_search_finds_nothing_for_nothing(words):
    """Unknown words and stop words find no entry."""
    assert look_up(load_documentation(), words) == []


ENTRIES = """### loss: the loss is not falling

**Symptom**

- no change

**Causes**

- the seed

**Solutions**

- water

**Related**: [tree](01-tree.md)
"""
TREE = parse_chapter(
    "# Trees\n<!--\nid: tree\nteaches: hoja\n-->\n\n## Why leaves fall\n\nFor want of water.\n",
    file_name="01-tree.md",
)
GUIDE = TrainingDocumentation(
    (TREE,), {}, {"hoja": "A leaf. It falls.", "water": "Wet."}, parse_entries(ENTRIES)
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
    assert [name_place(place) for place in look_up(GUIDE, ["water"])] == [
        "water",
        "loss",
        "tree#why-leaves-fall",
    ]
    found = look_up(GUIDE, ["leaves", "falling"])
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
