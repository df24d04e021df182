"""The other pages of the documentation, which the guide's search covers too: installing, texts, exports, systems."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

from semilla.guide import find_folder
from semilla.guide.chapters import Part, find_headings, make_anchor

_MARKDOWN = MarkdownIt("commonmark")
_LEFT_OUT = {"README", "mistyped"}
"""The contents, and a table of wrong commands: it would be found by any word that is in no other page."""


def find_pages() -> Path:
    """Return the folder of the pages: in the installed package, or ``docs`` of a checkout."""
    return find_folder("pages", "docs")


def read_pages(folder: Path) -> tuple[Part, ...]:
    """Read every page of a folder but ``_LEFT_OUT``: the page, named as its file, then its ``##`` parts."""
    paths = sorted(path for path in folder.glob("*.md") if path.stem not in _LEFT_OUT)
    return tuple(part for path in paths for part in parse_page(path.read_text(encoding="utf-8"), path.stem))


def parse_page(markdown: str, name: str) -> Iterator[Part]:
    """Yield a page and its parts. The text above the first part has its own, with the name of the page as anchor."""
    lines = markdown.splitlines(keepends=True)
    headings = find_headings(_MARKDOWN.parse(markdown))
    title = next((text for tag, text, _ in headings if tag == "h1"), name)
    yield Part(name, title, markdown)
    parts = [(text, line) for tag, text, line in headings if tag == "h2"]
    above = "".join(lines[: parts[0][1] if parts else len(lines)])
    yield Part(f"{name}#{make_anchor(title)}", title, above)
    for (text, start), (_, end) in pairwise([*parts, ("", len(lines))]):
        yield Part(f"{name}#{make_anchor(text)}", text, "".join(lines[start:end]))
