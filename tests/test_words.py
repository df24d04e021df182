"""The check for forbidden words finds them, and finds nothing in plain English."""

from __future__ import annotations

import pytest
from check_words import LEFT_OUT, TRAINING_WORDS, WORDS, check_tree, find_words, list_files


@pytest.mark.parametrize("phrase", [*WORDS, *TRAINING_WORDS])
def test_a_planted_word_is_found_with_its_line(phrase: str) -> None:
    """Each word of the list is found in prose, with the line it is on."""
    text = f"One line.\nThis is {phrase} here.\n"
    assert (2, phrase) in list(find_words(text, WORDS | TRAINING_WORDS))


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Written ANEW.", "anew"),
        ("killed for\n    want of memory", "for want of"),
        ("# killed for\n# want of memory", "for want of"),
        ("two helper processes", "helper process"),
        ("def scale(of_hidden_BTD):", "of_hidden"),
        ("num_shards = 2", "shard"),
        ("rotated = turn(query, cos)", "turn("),
    ],
)
def test_a_word_is_found_in_every_form(text: str, phrase: str) -> None:
    """Capitals, line breaks, comments, plurals and parts of names make no difference."""
    assert phrase in [found for _, found in find_words(text, WORDS | TRAINING_WORDS)]


@pytest.mark.parametrize(
    "text",
    [
        "return (query)",
        "def return(x)",
        "blend, calendar, silent and lender",
        "a renewal of the beforehand plan, of beforehand",
        "proportional",
        "turn the page",
    ],
)
def test_plain_english_passes(text: str) -> None:
    """A longer word that contains a listed one is not reported."""
    assert list(find_words(text, WORDS | TRAINING_WORDS)) == []


def test_what_people_write_is_checked_and_data_is_not() -> None:
    """Source, tests, scripts and documentation are checked; records of runs and the text of stories are not."""
    paths = list_files()
    assert {"README.md", "CHANGELOG.md", "scripts/check", "src/semilla/cli.py", "tests/conftest.py"} <= set(
        paths
    )
    assert [path for path in paths if path.startswith(LEFT_OUT) or path.endswith((".json", ".svg"))] == []


def test_the_tree_has_no_forbidden_words() -> None:
    """Source, tests, scripts, benchmarks and documentation use plain English and the standard terms."""
    assert check_tree() == []
