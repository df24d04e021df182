"""Web pages: headings, paragraphs, lists and tables as lines of text. Scripts, styles, forms and navigation go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from semilla.corpus.formats.encodings import find_declared_encoding
from semilla.corpus.formats.extracted import (
    Extracted,
    ReadOptions,
    UnreadableError,
    count_visible,
    shorten_language,
)
from semilla.corpus.formats.plain_text import decode_text

_NOT_TEXT = {
    *("head", "script", "style", "noscript", "template", "iframe", "object", "embed", "canvas", "svg"),
    *("form", "button", "select", "input", "textarea", "audio", "video", "map", "rt", "rp", "nav"),
    *("footer", "dialog"),
}
_UNCOUNTED = {"head", "script", "style", "noscript", "template"}
"""Of these, what is never shown; the others are counted as removed."""
_APART = {
    *("address", "blockquote", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre"),
    *("section", "table", "ul"),
}
"""Blocks with a blank line around them."""
_BLOCKS = _APART | {
    *("article", "aside", "body", "caption", "center", "dd", "details", "div", "dt", "fieldset"),
    *("figcaption", "header", "hgroup", "html", "li", "main", "summary", "tbody", "tfoot", "thead", "tr"),
}
"""Blocks begin a line."""
_CELLS = {"td", "th"}
_MAY_BE_DROPPED = {"a", "sup", "aside", "ul", "ol", "table", "div", "p", "section", "span"}
_NOT_TEXT_ROLES = {
    *("navigation", "doc-noteref", "noteref", "doc-backlink", "doc-toc", "toc", "pagebreak", "doc-pagebreak"),
}
_NOTE_MARK = re.compile(r"\s*[\[(]?(?:\d{1,4}|[*†‡↩↑^a-z])[\])]?\ufe0e?\s*")
_SPACES = re.compile(r"[ \t\n\r\f]+")
_SPACES_AT_TAB = re.compile(" *\t *")
_MIN_LINKS, _MAX_LINK_SHARE = 4, 0.8
"""A list of so many links, and hardly anything else, is navigation."""


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document."""
    yield read_bytes(data, options, name=name)


def read_bytes(data: bytes, options: ReadOptions, *, name: str) -> Extracted:
    """Decode a page and take the text out of it. A page that declares nothing is cp1252, as in browsers."""
    fallback = options.encoding
    if fallback == "auto" and find_declared_encoding(data) is None:
        fallback = "cp1252"
    text, encoding = decode_text(data, name=name, encoding=fallback, may_be_markup=True)
    page = read_page(text)
    if not page.text.strip():
        raise UnreadableError(f"{name} is a page without text", reason="empty")
    return Extracted(page.text, page.title, page.author, page.language, encoding, removed=page.removed)


def read_page(source: str) -> Extracted:
    """Take the text out of a page."""
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415

    tree = LexborHTMLParser(source)
    root = tree.root
    if root is None:
        return Extracted("")
    writer = _Writer()
    _walk(root, writer)
    title = tree.css_first("title")
    author = tree.css_first("meta[name=author]")
    return Extracted(
        writer.finish(),
        title=_squeeze(title.text()) or None if title else None,
        author=_squeeze(author.attributes.get("content") or "") or None if author else None,
        language=shorten_language(root.attributes.get("lang") or root.attributes.get("xml:lang")),
        removed={"navigation": writer.num_dropped} if writer.num_dropped else {},
    )


def _squeeze(text: str) -> str:
    return " ".join(text.split())


@dataclass
class _Writer:
    """Gathers text. White space is one space, and a block begins a line, after a blank one if it stands apart."""

    pieces: list[str] = field(default_factory=list)
    num_dropped: int = 0
    _line: list[str] = field(default_factory=list)
    _gap: int = 0
    _prefix: str = ""
    num_open_cells: int = 0

    def add(self, text: str) -> None:
        self._line.append(_SPACES.sub(" ", text))

    def add_verbatim(self, text: str) -> None:
        self.end_line(blank=True)
        self._put(text.strip("\n"))
        self._gap = 2

    def start_item(self, prefix: str) -> None:
        self.end_line()
        self._prefix = prefix

    def end_line(self, *, blank: bool = False) -> None:
        """End a line; inside a cell of a table it is only a space."""
        if self.num_open_cells:
            self._line.append(" ")
            return
        text = _SPACES_AT_TAB.sub("\t", re.sub(" {2,}", " ", "".join(self._line))).strip(" ")
        self._line.clear()
        if text:
            self._put(self._prefix + text)
            self._prefix = ""
            self._gap = 1
        self._gap = max(self._gap, 2 if blank else 1)

    def open_cell(self) -> None:
        if not self.num_open_cells and any(one.strip() for one in self._line):
            self._line.append("\t")
        self.num_open_cells += 1

    def _put(self, text: str) -> None:
        if self.pieces:
            self.pieces.append("\n" * self._gap)
        self.pieces.append(text)

    def finish(self) -> str:
        self.end_line()
        return "".join(self.pieces)


def _walk(root: Any, writer: _Writer) -> None:
    """Visit every node without recursion: a page may be nested a million deep."""
    items: list[list[Any]] = []
    """For each open list: its kind and the number of its next item."""
    node, is_leaving = root, False
    while node is not None:
        if not is_leaving and _enter(node, writer, items) and node.first_child is not None:
            node = node.first_child
            continue
        _leave(node, writer, items)
        if node.mem_id == root.mem_id:
            return
        is_leaving = node.next is None
        node = node.parent if is_leaving else node.next


def _enter(node: Any, writer: _Writer, items: list[list[Any]]) -> bool:
    """Write what a node begins with; return whether its children are to be visited."""
    if node.is_text_node:
        writer.add(node.text_content or "")
    if not node.is_element_node:
        return bool(node.is_document_node)
    tag = node.tag
    is_inside = bool(items) or writer.num_open_cells > 0
    if _is_dropped(node, tag, is_inside=is_inside):
        writer.num_dropped += 0 if tag in _UNCOUNTED else count_visible(node.text() or "")
        return False
    if tag == "pre":
        for line_break in node.css("br"):
            line_break.replace_with("\n")
        writer.add_verbatim(node.text() or "")
        return False
    if tag == "br" or tag in _BLOCKS:
        writer.end_line(blank=_stands_apart(tag, items))
    elif tag in _CELLS:
        writer.open_cell()
    if tag in {"ul", "ol"}:
        items.append([tag, 1])
    elif tag == "li" and items:
        kind, number = items[-1]
        writer.start_item("  " * (len(items[:8]) - 1) + ("- " if kind == "ul" else f"{number}. "))
        items[-1][1] += 1
    return True


def _leave(node: Any, writer: _Writer, items: list[list[Any]]) -> None:
    if not node.is_element_node or node.tag == "br" or node.tag in _NOT_TEXT:
        return
    if node.tag in _CELLS:
        writer.num_open_cells -= 1
    if node.tag in {"ul", "ol"} and items:
        items.pop()
    if node.tag in _BLOCKS:
        writer.end_line(blank=_stands_apart(node.tag, items))


def _stands_apart(tag: str, items: list[list[Any]]) -> bool:
    """Return whether a block has blank lines around it; inside a list there are none."""
    return tag in _APART and not (items and tag in {"p", "ul", "ol"})


def _is_dropped(node: Any, tag: str, *, is_inside: bool) -> bool:
    """Return whether an element is not part of the text: hidden, a form, navigation, the mark of a footnote.

    ``is_inside``: it is in a list or a table, which was judged as a whole.
    """
    if tag in _NOT_TEXT:
        return True
    if tag not in _MAY_BE_DROPPED:
        return False
    attributes = node.attributes
    role = f"{attributes.get('role') or ''} {attributes.get('epub:type') or ''}"
    if (
        _NOT_TEXT_ROLES & set(role.split())
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or (tag == "div" and attributes.get("title") in {"header", "footer"})  # as LibreOffice writes them
        or "display:none" in (attributes.get("style") or "").replace(" ", "").lower()
    ):
        return True
    if tag in {"a", "sup"}:
        return _is_note_mark(node, tag)
    if tag == "aside":
        return not role.strip()
    return not is_inside and tag in {"ul", "ol", "table"} and _is_navigation(node)


def _is_note_mark(node: Any, tag: str) -> bool:
    """Return whether an element is only a link to a note: ``<sup><a href="#n1">1</a></sup>``, or without sup."""
    link = node.first_child if tag == "sup" else node
    if link is None or link.tag != "a" or not (link.attributes.get("href") or "").startswith("#"):
        return False
    mark = link.first_child
    if mark is not None and mark.tag == "sup":
        mark = mark.first_child
    is_alone = mark is not None and mark.is_text_node and mark.next is None
    return is_alone and _NOTE_MARK.fullmatch((mark.text_content or "")[:20]) is not None


def _is_navigation(node: Any) -> bool:
    links = node.css("a[href]")
    if len(links) < _MIN_LINKS:
        return False
    linked = sum(count_visible(link.text() or "") for link in links)
    return linked >= _MAX_LINK_SHARE * count_visible(node.text() or "")
