"""Every code block of the guide prints what the guide says, when run in order from the first chapter."""

from __future__ import annotations

import pytest
from guide_reader import Reader, matches, split_session

from semilla.guide.chapters import CodeExample, DocumentSection, parse_chapter
from semilla.guide.documentation import load_documentation

CHAPTERS = load_documentation().sections
FIRST = CHAPTERS[0]


@pytest.fixture(scope="session")
def walk(tmp_path_factory) -> tuple[Reader, list[str]]:
    """A reader who has run the first chapter, which makes the run that the other chapters use."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    return reader, reader.follow(FIRST)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.section_id)
def test_blocks_print_what_the_chapter_says(walk, chapter):
    """Every Python block and every shell command of the chapter runs and prints the output shown below it."""
    reader, complaints = walk
    if chapter is not FIRST:
        complaints = reader.follow(chapter)
    assert not complaints, "\n\n".join(complaints)


def make_chapter(blocks: str) -> DocumentSection:
    return parse_chapter(f"# Título\n<!--\nid: one\n-->\n\n{blocks}", file_name="01-one.md")


@pytest.mark.parametrize(
    "blocks",
    [
        "```python\nx = 'ñ'\n```\n\n```python\nprint(x)\n```\n<!-- output -->\n```text\nñ\n```\n",
        "```python\nprint(1)\nprint(2.5)\n```\n<!-- output -->\n```text\n1\n2...\n```\n",
        "```shell\n$ echo ¿uno? \\\n  dos\n¿uno? dos\n$ cat <<END\n> árbol 🌱\n> END\nárbol 🌱\n```\n",
        "<!-- exit: 3 -->\n```shell\n$ echo out; echo err >&2; exit 3\nout\nerr\n```\n",
    ],
)
def test_expected_output_is_accepted(tmp_path, blocks):
    """Names persist from block to block, ``...`` matches anything, and commands may span several lines."""
    assert Reader(tmp_path).follow(make_chapter(blocks)) == []


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        ("```python\nprint('dos')\n```\n", "+dos"),
        ("```python\nprint(1)\n```\n<!-- output -->\n```text\n2\n```\n", "-2"),
        ("```python\n1 / 0\n```\n", "+ZeroDivisionError: division by zero"),
        ("```python\n\nraise SystemExit(3)\n```\n", "+SystemExit: 3"),
        ("```shell\n$ echo uno\ndos\n```\n", "+uno"),
        ("```shell\n$ false\n```\n", "+exit code 1"),
        ("<!-- exit: 3 -->\n```shell\n$ true\n```\n", "+exit code 0"),
    ],
)
def test_unexpected_output_is_reported(tmp_path, blocks, complaint):
    """A different output, an output not shown, an exception and a wrong exit code each give one complaint."""
    complaints = Reader(tmp_path).follow(make_chapter(blocks))
    assert len(complaints) == 1
    assert complaint in complaints[0].splitlines()


def test_each_chapter_starts_with_a_new_namespace(tmp_path):
    """Names defined in one chapter do not exist in the next."""
    reader = Reader(tmp_path)
    assert reader.follow(make_chapter("```python\nx = 1\n```\n")) == []
    assert "NameError" in reader.follow(make_chapter("```python\nx\n```\n"))[0]


def test_a_session_without_a_prompt_is_refused():
    """A shell block that does not begin with a command is an error."""
    with pytest.raises(ValueError, match="must begin with"):
        list(split_session("echo\n"))


def test_trailing_spaces_do_not_count():
    """Spaces at the end of lines and line breaks at the end of the output are ignored."""
    assert matches("a\nb", "a  \nb\n\n")
    assert not matches("a b", "a  b")


def test_examples_know_their_line():
    """An example knows the line on which its source begins, so that a traceback leads to it."""
    (example,) = make_chapter("```python\nx\n```\n").code_examples
    assert example == CodeExample("python", "x\n", "", 7)
