"""The guide as data: the content of its chapters, and no broken links."""

from __future__ import annotations

from pathlib import Path

import pytest

from semilla.errors import PHASES, IntegrityError
from semilla.guide import find_chapters
from semilla.guide.chapters import Diagram, make_anchor, parse_chapter
from semilla.guide.documentation import IDS, describe, load_documentation, parse_glossary, read_documentation

GUIDE = load_documentation()
CHAPTER = """# Árbol
<!--
id: tree
phase: validation
prerequisites: seed, raíz
teaches: leaf, hoja
-->

Text with a [link](02-other.md#why-so), one [out](https://example.org), one [away](../texts.md) and one [here](#uno).

## Uno

<!-- diagram: a tree 🌱 -->
```text
 ◐
```

## ¿Dos, `tres`?

| a | b |
|---|---|
| 1 | 2 |

```python
print("ñ")
```
<!-- output -->
```text
ñ
```
"""


# ---- the guide that is there


def test_ids_are_unique_and_in_order():
    """Chapters have the ids of the contract, in its order, and no id is used twice."""
    ids = [section.section_id for section in GUIDE.sections]
    assert ids == [one for one in IDS if one in ids]
    places = [place.section_id for place in GUIDE.walk()]
    assert len(places) == len(set(places))


def test_every_link_leads_to_a_place():
    """Links between chapters name a chapter, a heading in it, the contents or the glossary."""
    places = {*GUIDE.by_id, "contents", "glossary", *(page.section_id for page in GUIDE.pages)}
    anchors = {f"{section.section_id}#{anchor}" for section in GUIDE.sections for anchor in section.anchors}
    assert set(GUIDE.cross_references.values()) <= places | anchors


def test_links_out_of_the_guide_name_files():
    """A relative link to another file of the project names an existing file."""
    root = find_chapters()
    pages = [path.read_text(encoding="utf-8") for path in root.glob("*.md")]
    addresses = [part.partition(")")[0] for page in pages for part in page.split("](")[1:]]
    outside = [one.partition("#")[0] for one in addresses if one.startswith("../")]
    assert [one for one in outside if not (root / one).exists()] == []


def test_chapters_name_their_phase():
    """The phase of a chapter, if any, is one of the five."""
    assert {section.phase for section in GUIDE.sections} <= {None, *PHASES}


def test_terms_are_taught_once_and_explained_in_the_glossary():
    """Each term that a chapter teaches is in the glossary, and no two chapters teach the same term."""
    taught = [term for section in GUIDE.sections for term in section.teaches]
    assert len(taught) == len(set(taught))
    assert set(taught) <= set(GUIDE.glossary)


def test_every_term_is_used():
    """No term of the glossary is missing from the chapters."""
    text = " ".join(" ".join(section.content.lower().split()) for section in GUIDE.sections)
    assert [term for term in GUIDE.glossary if term.lower() not in text] == []


def test_the_glossary_is_alphabetical():
    """Terms are in alphabetical order, ignoring case."""
    terms = [term.lower() for term in GUIDE.glossary]
    assert terms == sorted(terms)


def test_prerequisites_were_taught_before():
    """A prerequisite is an earlier chapter, or a term that an earlier chapter teaches."""
    known: set[str] = set()
    for section in GUIDE.sections:
        assert set(section.prerequisites) <= known, section.section_id
        known |= {section.section_id, *section.teaches}


# ---- how it is read


def test_a_chapter_is_read_whole():
    """Data, parts, diagrams, examples, tables and links are read from plain Markdown."""
    chapter = parse_chapter(CHAPTER, file_name="01-tree.md")
    assert (chapter.section_id, chapter.title, chapter.phase) == ("tree", "Árbol", "validation")
    assert (chapter.prerequisites, chapter.teaches) == (("seed", "raíz"), ("leaf", "hoja"))
    assert [part.section_id for part in chapter.parts] == ["tree#uno", "tree#dos-tres"]
    assert chapter.parts[1].content.startswith("## ¿Dos")
    assert chapter.diagrams == (Diagram("a tree 🌱", " ◐\n"),)
    assert [example.output for example in chapter.code_examples] == ["ñ\n"]
    assert chapter.links == ("02-other.md#why-so", "01-tree.md#uno")
    assert chapter.num_tables == 1


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("# Árbol", "Árbol", "exactly one title"),
        ("## Uno", "# Uno", "exactly one title"),
        ("id: tree", "name: tree", "a comment below its title"),
        ("teaches:", "explains:", "a comment below its title"),
        ("<!-- diagram", "<!-- digram", "line 13, has an unknown comment"),
        ("<!-- output -->", "<!--output-->", "has an unknown comment"),
        ("```python", "```pyton", "line 24, has a block of 'pyton'"),
    ],
)
def test_a_slip_is_told_with_its_line(old, new, complaint):
    """A chapter that breaks the rules is refused: a misspelt comment would leave a block unchecked."""
    with pytest.raises(IntegrityError, match=complaint):
        parse_chapter(CHAPTER.replace(old, new), file_name="01-tree.md")


def write_guide(folder: Path, **pages: str) -> Path:
    for name, text in pages.items():
        (folder / f"{name.replace('_', '-', 1)}.md").write_text(text, encoding="utf-8")
    return folder


def test_a_broken_link_is_told(tmp_path):
    """A link to a missing heading is refused."""
    other = "# Other\n<!--\nid: other\n-->\n\n## Why not\n"
    with pytest.raises(IntegrityError, match=r"02-other\.md#why-so"):
        read_documentation(write_guide(tmp_path, **{"01_tree": CHAPTER, "02_other": other}))


def test_links_lead_to_ids(tmp_path):
    """Every link has a cross reference to the id of its target."""
    other = "# Other\n<!--\nid: other\n-->\n\n## Why so?\n\nA [term](glossary.md).\n"
    guide = read_documentation(write_guide(tmp_path, **{"01_tree": CHAPTER, "02_other": other}))
    assert guide.cross_references == {
        "01-tree.md#uno": "tree#uno",
        "02-other.md#why-so": "other#why-so",
        "glossary.md": "glossary",
    }
    assert guide.get("other#why-so").title == "Why so?"
    assert describe(guide)["cross_references"] == 3


def test_the_glossary_is_read_paragraph_by_paragraph():
    """A definition may have several lines and ends at an empty one."""
    text = "# Glossary\n\n**hoja**: una\nparte.\n\n**Árbol**: tiene **hojas**: muchas.\n"
    assert parse_glossary(text) == {"hoja": "una parte.", "Árbol": "tiene **hojas**: muchas."}
    with pytest.raises(IntegrityError, match="twice"):
        parse_glossary(text + "\n**hoja**: otra.\n")


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Why pieces?", "why-pieces"),
        ("Ñandú y `seed`", "ñandú-y-seed"),
        ("oom: out of memory", "oom-out-of-memory"),
        ("disk_space: full", "disk_space-full"),
        ("A - b", "a---b"),
    ],
)
def test_anchors_are_those_of_code_hosts(heading, anchor):
    """Anchors are the same as those of code hosts."""
    assert make_anchor(heading) == anchor
