"""Word documents (.docx): paragraphs, lists, tables, text boxes and notes, as ECMA-376 part 1 describes them.

Headers, footers, comments, contents, field codes, hidden and deleted text are not text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.packages import Package, find_outer, join_blocks

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = b"http://purl.oclc.org/ooxml/wordprocessingml/main", _W[1:-1].encode()
"""What Word calls a Strict Open XML document has the same elements under another name."""
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""The same drawing again, for older programs."""
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011", "ptab": "\t"}
_NOT_TEXT = {
    *(
        f"{_W}{one}"
        for one in ("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sectPr", "tblPr", "ruby")
    ),
    _FALLBACK,
}
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_SEPARATORS = {"separator", "continuationSeparator", "continuationNotice"}


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:  # noqa: ARG001 - every reader has them
    """Read one document. Raises UnreadableError for damaged files."""
    package = Package(data, name=name)
    blocks = list(_list_blocks(package.parse("word/document.xml", strict=_STRICT)))
    for member in _NOTES:
        if member in package.members:
            found = package.parse(member, strict=_STRICT)
            notes = [one for one in found if one.get(f"{_W}type") not in _SEPARATORS]
            blocks += [(False, block.strip()) for note in notes for _, block in _list_blocks(note)]
    text = join_blocks(blocks)
    if not text.strip():
        raise UnreadableError(f"{name} is a document without text", reason="empty")
    yield package.describe(text, "docProps/core.xml")


def _list_blocks(root: Any) -> Iterator[tuple[bool, str]]:
    """Yield paragraphs and tables; True marks one that stands together with the one before, such as a list's items."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.tag == f"{_W}p":
            boxes: list[Any] = []
            level = node.find(f"{_W}pPr/{_W}numPr/{_W}ilvl")
            style = node.find(f"{_W}pPr/{_W}pStyle")
            prefix = "" if level is None else "  " * min(8, _read_number(level)) + "- "
            is_close = level is not None or _is_code(style)
            yield is_close, prefix + _write_inline(node, boxes)
            stack += reversed(boxes)
        elif node.tag == f"{_W}tbl":
            yield False, "\n".join(_list_rows(node))
        elif node.tag not in _NOT_TEXT and not _is_contents(node):
            stack += reversed(node)


def _is_contents(node: Any) -> bool:
    """Return whether a block is the table of contents."""
    gallery = node.find(f"{_W}sdtPr/{_W}docPartObj/{_W}docPartGallery") if node.tag == f"{_W}sdt" else None
    return gallery is not None and gallery.get(f"{_W}val") == "Table of Contents"


def _is_hidden(node: Any) -> bool:
    """Return whether a run has the property of hidden text."""
    mark = node.find(f"{_W}rPr/{_W}vanish") if node.tag == f"{_W}r" else None
    return mark is not None and mark.get(f"{_W}val") not in {"0", "false", "off"}


def _read_number(level: Any) -> int:
    value = str(level.get(f"{_W}val"))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 0


def _is_code(style: Any) -> bool:
    value = "" if style is None else str(style.get(f"{_W}val")).lower()
    return any(word in value for word in ("sourcecode", "preformatted", "plaintext"))


def _list_rows(table: Any) -> Iterator[str]:
    for row in find_outer(table, f"{_W}tr"):
        cells = find_outer(row, f"{_W}tc")
        yield "\t".join(" ".join(_write_inline(one, []) for one in cell.iter(f"{_W}p")) for cell in cells)


def _write_inline(paragraph: Any, boxes: list[Any]) -> str:
    """The text of a paragraph. Text boxes in it are added to ``boxes``: they stand on their own."""
    pieces: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        node = stack.pop()
        kind = node.tag.removeprefix(_W)
        if node.tag == f"{_W}t":
            pieces.append(node.text or "")
        elif kind in _SIGNS:
            pieces.append("" if node.get(f"{_W}type") == "page" else _SIGNS[kind])
        elif kind == "txbxContent":
            boxes.append(node)
        elif kind == "ruby":
            stack += reversed(node.findall(f"{_W}rubyBase"))
        elif node.tag not in _NOT_TEXT and not _is_hidden(node):
            stack += reversed(node)
    return "".join(pieces)
