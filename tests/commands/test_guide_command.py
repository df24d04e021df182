"""``semilla guide``, as a reader uses it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from semilla import cli
from semilla.errors import CATEGORIES
from semilla.guide.documentation import describe, load_documentation
from semilla.guide.search import Term, find_named
from semilla.terminal import markdown
from semilla.terminal.markdown import print_markdown

GUIDE = load_documentation()
PAGE = """<!-- diagram: ñ -->
```text
 ◐ → ●
```

Loss 2.139<!-- recorded: loss .3f -->, see [tokens](02-tokenization.md#why) or [home](https://example.org).
"""
NAMES = {"02-tokenization.md#why": "tokenization#why"}


def read_guide(capsys, *words: str) -> str:
    assert cli.main(["guide", *words]) == 0
    return capsys.readouterr().out


def test_without_words_the_contents_are_shown(capsys):
    """Every chapter, part and topic has a line that begins with its name."""
    lines = read_guide(capsys).splitlines()
    names = {line.split()[0] for line in lines if line}
    assert names >= set(CATEGORIES) | set(GUIDE.by_id)


def test_a_topic_shows_its_entry_and_words_the_best_one(capsys):
    """An entry has four lists. Other matches follow the best one."""
    text = read_guide(capsys, "oom")
    assert text.startswith("oom: ")
    assert all(f"\n{heading}\n" in text for heading in ("Symptom", "Causes", "Solutions", "Related"))
    text = read_guide(capsys, "loss", "not", "decreasing")
    assert text.startswith("loss: ")
    assert "\nSee also\n semilla guide " in text


def test_in_doubt_the_choice_comes_first(capsys):
    """Where no place is clearly ahead, five are listed above the text of the first."""
    lines = read_guide(capsys, "model").splitlines()
    assert lines[0] == "Several places may answer; the first follows"
    assert all(line.startswith(" semilla guide ") for line in lines[1:6])
    assert lines[6] == ""
    assert "See also" not in lines


def test_every_category_is_one_command_away(capsys):
    """The ``help:`` line of every error works."""
    for category in CATEGORIES:
        assert read_guide(capsys, category).startswith(f"{category}: ")


def test_every_chapter_and_part_can_be_read(capsys):
    """An id shows its chapter or part, from the heading on, without comments."""
    for section_id, place in GUIDE.by_id.items():
        text = read_guide(capsys, section_id)
        assert text.lstrip("# ").startswith(place.title)
        assert "<!--" not in text


def test_links_are_followed_by_names(capsys):
    """A link to another page or its part, in a chapter or an entry, has the name that ``semilla guide`` takes."""
    assert "(`texts`)" in read_guide(capsys, "overview#choosing-a-corpus")
    assert "many formats (`texts#your-own-texts`)" in read_guide(capsys, "overview#choosing-a-corpus")
    assert "systems (`platforms#what-you-can-count-on`)" in read_guide(capsys, "platforms")
    assert "entry (`vocabulary_size`)" in read_guide(capsys, "tokenization")
    assert [name for name in GUIDE.link_names.values() if not find_named(GUIDE, name)] == []


def test_terms_are_explained(capsys):
    """A term shows its definition, and the chapter that teaches it."""
    for section in GUIDE.sections:
        for term in section.teaches:
            if isinstance(find_named(GUIDE, term), Term):  # a topic of the same name goes before it
                text = read_guide(capsys, term)
                assert text.startswith(f"{term}: ")
                assert f"explained in: semilla guide {section.section_id}" in text


def test_everything_is_there_as_json(capsys):
    """JSON has the contents with their counts, or all matches in full."""
    contents = json.loads(read_guide(capsys, "--json"))
    assert [one["section_id"] for one in contents["sections"]] == list(GUIDE.by_id)
    assert contents["counts"] == describe(GUIDE)
    assert json.loads(read_guide(capsys, "--json", "oom"))[0]["topic"] == "oom"
    chapter = json.loads(read_guide(capsys, "--json", GUIDE.sections[-1].section_id))[0]
    assert chapter["content"] == GUIDE.sections[-1].content


def test_an_unknown_word_is_a_mistake(capsys):
    """The nearest name is suggested, and the exit code is that of a wrong command line."""
    assert cli.main(["guide", "troublshootin"]) == 64
    assert "did you mean troubleshooting?" in capsys.readouterr().err


def test_markdown_in_a_pipe_stays_markdown(capsys):
    """Comments are removed, links into the guide get their names, and the rest is unchanged."""
    print_markdown(PAGE, names=NAMES)
    assert capsys.readouterr().out == (
        "```text\n ◐ → ●\n```\n\nLoss 2.139, see tokens (`tokenization#why`) or [home](https://example.org).\n"
    )


def test_markdown_on_a_terminal_is_drawn(capsys, monkeypatch):
    """Markdown becomes styles, and diagrams keep their form."""
    monkeypatch.setattr(markdown, "can_draw", lambda: True)
    print_markdown(PAGE, names=NAMES)
    text = capsys.readouterr().out
    assert "◐ → ●" in text
    assert "Loss 2.139, see tokens (tokenization#why) or home (https://example.org)." in " ".join(
        text.split()
    )


@pytest.mark.parametrize("words", [["oom"], ["overview"], []])
def test_a_reader_may_leave_before_the_end(words):
    """``semilla guide … | head`` is no error, in whichever way the page is printed."""
    program = [sys.executable, "-P", "-m", "semilla", "guide", *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_mistyped_topic_is_found(capsys):
    """A word that is nearly the name of a topic counts as that name, not as a word of the text."""
    assert cli.main(["guide", "overfiting"]) == 0
    assert capsys.readouterr().out.startswith("overfitting: ")
