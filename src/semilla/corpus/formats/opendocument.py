"""OpenDocument texts (.odt): paragraphs, lists, tables and notes. Headers, comments and deleted text are not text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.packages import Package, find_outer, join_blocks

_TEXT, _TABLE, _OFFICE, _STYLE = (
    f"{{urn:oasis:names:tc:opendocument:xmlns:{one}:1.0}}" for one in ("text", "table", "office", "style")
)
_PREFIXES = {_TEXT: "text", _TABLE: "table", _OFFICE: "office"}
_CODE_STYLE = "Preformatted_20_Text"
_NOT_TEXT = {
    "text:tracked-changes",
    "text:note-citation",
    "text:table-of-content",
    "text:alphabetical-index",
    "text:sequence-decls",
    "text:user-field-decls",
    "text:page-number",
    "office:annotation",
    "office:forms",
}
_MAX_SPACES = 1000


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:  # noqa: ARG001 - every reader has them
    """Read one document. Raises UnreadableError for damaged and encrypted files."""
    package = Package(data, name=name)
    if b"encryption-data" in package.read("META-INF/manifest.xml"):
        raise UnreadableError(f"{name} is encrypted", reason="encrypted")
    content = package.parse("content.xml")
    body = content.find(f".//{_OFFICE}text")
    text = join_blocks(_list_blocks(body, _find_code_styles(content))) if body is not None else ""
    if not text.strip():
        raise UnreadableError(f"{name} is a document without text", reason="empty")
    yield package.describe(text, "meta.xml")


def _name(node: Any) -> str:
    space, brace, local = str(node.tag).rpartition("}")
    return f"{_PREFIXES.get(space + brace, '')}:{local}"


def _find_code_styles(content: Any) -> set[str]:
    """Styles of lines of code: LibreOffice's own, and those that documents derive from it."""
    styles = (
        (one.get(f"{_STYLE}name"), one.get(f"{_STYLE}parent-style-name"))
        for one in content.iter(f"{_STYLE}style")
    )
    return {_CODE_STYLE, *(str(name) for name, parent in styles if parent == _CODE_STYLE)}


def _list_blocks(body: Any, code_styles: set[str]) -> Iterator[tuple[bool, str]]:
    """Yield paragraphs, lists and tables, and the notes at the end; True marks a line of code."""
    notes: list[str] = []
    stack = list(reversed(body))
    while stack:
        node = stack.pop()
        kind = _name(node)
        if kind in _NOT_TEXT:
            continue
        if kind in {"text:p", "text:h"}:
            yield node.get(f"{_TEXT}style-name") in code_styles, _write_inline(node, notes)
        elif kind == "text:list":
            yield False, "\n".join(_list_items(node, notes))
        elif kind == "table:table":
            yield False, "\n".join(_list_rows(node, notes))
        else:
            stack += reversed(node)
    yield from ((False, note) for note in notes)


def _list_items(node: Any, notes: list[str]) -> Iterator[str]:
    return (f"- {_write_inline(one, notes)}" for one in node.iter() if _name(one) in {"text:p", "text:h"})


def _list_rows(node: Any, notes: list[str]) -> Iterator[str]:
    for row in find_outer(node, f"{_TABLE}table-row"):
        cells = [cell for cell in row if _name(cell) == "table:table-cell"]
        yield "\t".join(
            " ".join(_write_inline(one, notes) for one in cell.iter() if _name(one) == "text:p")
            for cell in cells
        )


def _write_inline(paragraph: Any, notes: list[str]) -> str:
    """The text of a paragraph; its notes are added to ``notes``."""
    pieces = [paragraph.text or ""]
    stack: list[tuple[Any, bool]] = [(one, False) for one in reversed(paragraph)]
    while stack:
        node, is_tail = stack.pop()
        kind = _name(node)
        if is_tail:
            pieces.append(node.tail or "")
            continue
        stack.append((node, True))
        if kind == "text:s":
            count = node.get(f"{_TEXT}c") or "1"
            pieces.append(" " * (min(int(count), _MAX_SPACES) if count.isascii() and count.isdigit() else 1))
        elif kind == "text:tab":
            pieces.append("\t")
        elif kind == "text:line-break":
            pieces.append("\n")
        elif kind == "text:note":
            notes += [_write_inline(one, []) for one in node.iter() if _name(one) == "text:p"]
        elif kind not in _NOT_TEXT:
            pieces.append(node.text or "")
            stack += [(one, False) for one in reversed(node)]
    return "".join(pieces)
