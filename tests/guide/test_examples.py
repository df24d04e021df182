"""Every code block of the guide does what the guide says, for a reader who follows it from the start."""

from __future__ import annotations

import pytest
from guide_reader import Reader, matches, split_session

from semilla.guide import find_chapters
from semilla.guide.chapters import CodeExample, DocumentSection, parse_chapter
from semilla.guide.documentation import load_documentation

CHAPTERS = load_documentation().sections
FIRST = CHAPTERS[0]


@pytest.fixture(scope="session")
def walk(tmp_path_factory) -> tuple[Reader, list[str]]:
    """A reader who has followed the first chapter, which makes the run that the others use."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    return reader, reader.follow(FIRST)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.section_id)
def test_blocks_do_what_the_chapter_says(walk, chapter):
    """Every Python block and shell command of the chapter runs and prints the output below it."""
    reader, complaints = walk
    if chapter is not FIRST:
        complaints = reader.follow(chapter)
    assert not complaints, "\n\n".join(complaints)


def test_solutions_are_right(tmp_path):
    """Every block of the solutions prints what is below it."""
    page = (find_chapters() / "solutions.md").read_text(encoding="utf-8")
    title, _, rest = page.partition("\n")
    chapter = parse_chapter(f"{title}\n<!--\nid: solutions\n-->\n{rest}", file_name="solutions.md")
    assert len(chapter.code_examples) == len(chapter.parts)
    complaints = Reader(tmp_path).follow(chapter)
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
def test_what_is_promised_is_accepted(tmp_path, blocks):
    """Names are kept between blocks, ``...`` matches anything, and commands may have several lines."""
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
def test_what_is_not_as_promised_is_told(tmp_path, blocks, complaint):
    """A different or missing output, an exception and a different exit code are each reported once."""
    complaints = Reader(tmp_path).follow(make_chapter(blocks))
    assert len(complaints) == 1
    assert complaint in complaints[0].splitlines()


def test_each_chapter_begins_with_fresh_names(tmp_path):
    """Names of a chapter are not defined in the next one."""
    reader = Reader(tmp_path)
    assert reader.follow(make_chapter("```python\nx = 1\n```\n")) == []
    assert "NameError" in reader.follow(make_chapter("```python\nx\n```\n"))[0]


def test_a_session_without_a_prompt_is_refused():
    """A shell block that does not begin with a command is refused."""
    with pytest.raises(ValueError, match="begins with"):
        list(split_session("echo\n"))


def test_blanks_at_the_end_do_not_count():
    """Trailing spaces and a last line break make no difference."""
    assert matches("a\nb", "a  \nb\n\n")
    assert not matches("a b", "a  b")


def test_examples_know_their_line():
    """A report names the line on which the source of the block begins."""
    (example,) = make_chapter("```python\nx\n```\n").code_examples
    assert example == CodeExample("python", "x\n", "", 7)
