"""The Spanish guide says the same as the English one: same structure, blocks, numbers and links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from semilla.guide.chapters import make_anchor

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(path.name for path in GUIDE.glob("es/*.md"))
MARKDOWN = MarkdownIt("commonmark").enable("table")
NUMBER = re.compile(r"\d+(?:[.,\u202f]\d+)*|[⁰¹²³⁴-⁹₀-₉]+")
THOUSANDS = {"en": re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), "es": re.compile("\u202f")}
"""What separates thousands in each language. Decimal points are the same."""


def find_differences(english: str, spanish: str) -> Iterator[str]:
    """Yield what two versions of a page do not have in common, with the line of the Spanish one."""
    pages = parse(english), parse(spanish)
    structures = [[(token.type, token.tag, token.info) for token in page] for page in pages]
    if structures[0] != structures[1]:
        places = zip(*structures, strict=False)
        place = next((n for n, (one, other) in enumerate(places) if one != other), len(pages[1]) - 1)
        yield f"line {find_line(pages[1], place)}: the order of headings, paragraphs and blocks differs"
        return
    for place, (one, other) in enumerate(zip(*pages, strict=True)):
        for name, said in compare(one, other, is_diagram=is_diagram(pages[1], place)):
            yield f"line {find_line(pages[1], place)}: {name}: {said[0]} in English, {said[1]} in Spanish"


def compare(one: Token, other: Token, *, is_diagram: bool) -> Iterator[tuple[str, list[object]]]:
    """Yield the kinds of content in which two tokens differ, with both contents."""
    tokens = {"en": one, "es": other}
    found: dict[str, list[object]] = {}
    if one.type == "fence" and not is_diagram:
        found["block"] = [one.content, other.content]
    elif one.type == "fence":
        found["numbers"] = [list_numbers(token.content, language) for language, token in tokens.items()]
    elif one.type == "html_block":
        found["comment"] = [re.sub(r"(?<=diagram: ).*", "", token.content) for token in tokens.values()]
    elif one.type == "inline":
        found["numbers"] = [list_numbers(join_text(token), language) for language, token in tokens.items()]
        found["code"] = [sorted(list_contents(token, "code_inline")) for token in tokens.values()]
        found["marks"] = [list_contents(token, "html_inline", "<!-- recorded") for token in tokens.values()]
        found["links"] = [sorted(list_links(token)) for token in tokens.values()]
    yield from ((name, said) for name, said in found.items() if said[0] != said[1])


def parse(page: str) -> list[Token]:
    """The tokens of a page, without the data of a chapter, which only the English one has."""
    tokens = MARKDOWN.parse(page)
    return [
        token for token in tokens if not (token.type == "html_block" and token.content.startswith("<!--\n"))
    ]


def is_diagram(tokens: list[Token], place: int) -> bool:
    """Whether a block is a diagram. Its words are translated; other blocks are code and its output."""
    return place > 0 and tokens[place - 1].content.startswith("<!-- diagram:")


def find_line(tokens: list[Token], place: int) -> int:
    return next((token.map[0] + 1 for token in reversed(tokens[: place + 1]) if token.map), 1)


def list_numbers(text: str, language: str) -> list[str]:
    return NUMBER.findall(THOUSANDS[language].sub("", text))


def join_text(token: Token) -> str:
    """The text of a paragraph without the addresses of links and without comments."""
    children = token.children or []
    return "".join(
        " " if child.type == "softbreak" else child.content
        for child in children
        if child.type != "html_inline"
    )


def list_contents(token: Token, kind: str, beginning: str = "") -> list[str]:
    """The contents of one kind inside a paragraph, in order, if they begin so."""
    children = token.children or []
    return [one.content for one in children if one.type == kind and one.content.startswith(beginning)]


def list_links(token: Token) -> list[str]:
    """What a paragraph links to: whole addresses, but only the names of files of the project."""
    addresses = [
        str(child.attrs.get("href", "")) for child in token.children or [] if child.type == "link_open"
    ]
    return [one if ":" in one else Path(one.partition("#")[0]).name for one in addresses]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_the_same_in_both_languages(name):
    """After a change in one language, the other has to follow."""
    english = (GUIDE / name).read_text(encoding="utf-8")
    assert list(find_differences(english, (GUIDE / "es" / name).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("name", PAGES)
def test_links_of_a_spanish_page_lead_to_a_place(name):
    """A relative link names an existing file and, behind ``#``, a heading in it."""
    page = GUIDE / "es" / name
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    links = [str(child.attrs.get("href", "")) for token in tokens for child in token.children or []]
    for link in (one for one in links if one and ":" not in one):
        address, _, anchor = link.partition("#")
        target = page.parent / address if address else page
        assert target.is_file(), link
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or unquote(anchor) in [
            make_anchor(heading.replace("`", "")) for heading in headings
        ], link


def test_every_chapter_exists_in_spanish():
    """The README and the ten chapters are translated. The glossary, the problems and the solutions are not."""
    assert [path.name for path in sorted(GUIDE.glob("[01]*.md"))] == PAGES[:-1]
    assert (len(PAGES), PAGES[-1]) == (11, "README.md")


@pytest.mark.parametrize("name", PAGES)
def test_spanish_pages_link_to_spanish_chapters(name):
    """A reader stays in the language, except for the pages that are not translated."""
    page = (GUIDE / "es" / name).read_text(encoding="utf-8")
    assert re.findall(r"\]\(\.\./[01]\d-[^)]*\)", page) == []


def test_every_spanish_page_is_in_the_web_edition():
    """The contents of the website list them in order."""
    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    (listed,) = (part["Guía en español"] for part in nav if "Guía en español" in part)
    assert listed == [
        f"guide/es/{name}" for name in sorted(PAGES, key=lambda name: (name != "README.md", name))
    ]


def test_the_wheel_holds_the_guide_in_english():
    """``semilla guide`` reads and searches the English pages. All of them are shipped, and the Spanish ones are not."""
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    chapters = [
        path for path in packaged["targets"]["wheel"]["force-include"] if path.startswith("docs/guide")
    ]
    assert chapters == sorted(f"docs/guide/{path.name}" for path in GUIDE.glob("*.md"))


PAIR = (
    "# Seed\n<!--\nid: seed\n-->\n\nIt has 712,320 weights, 0.5 each ([more](02-b.md#why), `d_model`).\n\n"
    "2<!-- recorded: epochs d --> epochs.\n\n<!-- diagram: a seed -->\n```text\n 3,000 seeds\n```\n\n"
    "```python\nprint(1)\n```\n\n| a | 4 |\n|---|---|\n",
    "# Semilla\n\nTiene 712\u202f320 pesos, cada uno de 0.5 (`d_model`, [más](02-b.md#porqué)).\n\n"
    "2<!-- recorded: epochs d --> épocas.\n\n<!-- diagram: una semilla -->\n```text\n 3000 semillas\n```\n\n"
    "```python\nprint(1)\n```\n\n| b | 4 |\n|---|---|\n",
)


def test_a_translation_does_not_differ():
    """Words, anchors, separators of thousands and the words of a diagram belong to the language."""
    assert list(find_differences(*PAIR)) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("712\u202f320", "712\u202f321", "numbers"),
        ("0.5", "0,5", "numbers"),
        ("0.5", "medio", "numbers"),
        ("02-b.md", "03-c.md", "links"),
        ("`d_model`", "`modelo`", "code"),
        ("recorded: epochs d", "recorded: steps d", "marks"),
        (" 3000 semillas", " 3001 semillas", "numbers"),
        ("diagram:", "output:", "comment"),
        ("print(1)", "print(2)", "block"),
        ("```python", "```text", "order"),
        ("# Semilla", "## Semilla", "order"),
        ("| b | 4 |", "| b | 5 |", "numbers"),
        ("épocas.\n", "épocas.\n\nOtro párrafo.\n", "order"),
    ],
)
def test_a_change_in_one_language_is_found(old, new, complaint):
    """A change of a number, a block, a link or the structure is reported, whichever of the two it is made in."""
    english, spanish = PAIR
    changed = spanish.replace(old, new)
    assert changed != spanish
    assert complaint in "".join(find_differences(english, changed))
