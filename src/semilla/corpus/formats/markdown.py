"""Markdown: the text without its marks. Lists, tables and code keep their lines; wrapped paragraphs become one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from semilla.corpus.formats.extracted import Extracted, ReadOptions, count_visible
from semilla.corpus.formats.plain_text import decode_text

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)\n(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
"""Of YAML or TOML."""
_TITLE = re.compile(r"""^title[ \t]?[:=][ \t]*["']?(.+?)["']?[ \t]*$""", re.M | re.I)
_LANGUAGE = re.compile(r"""^lang(?:uage)?[ \t]?[:=][ \t]*["']?([a-z]{2})\b""", re.M | re.I)
_EMBEDDED = re.compile(r"!\[\[[^\[\]\n]{1,200}\]\]")
_WIKI_LINK = re.compile(r"\[\[(?:[^\[\]|\n]{1,200}\|)?([^\[\]|\n]{1,200})\]\]")
"""Of notes: a page, and perhaps the words that stand for it."""
_NOTE_START = re.compile(r"^\[\^[^\]\s]{1,40}\]:[ \t]*", re.M)
_NOTE_MARK = re.compile(r"\[\^[^\]\s]{1,40}\]")
_INLINE_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document; the title comes from the front matter, else from the first heading."""
    text, encoding = decode_text(data, name=name, encoding=options.encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front = _FRONT_MATTER.match(text)
    facts = front[2] if front else ""
    body = _NOTE_START.sub("", text[front.end() :] if front else text)
    title, language = _TITLE.search(facts), _LANGUAGE.search(facts)
    tokens = _make_parser().parse(body)
    plain = "\n\n".join(_list_blocks(tokens))
    yield Extracted(
        plain,
        title=title[1] if title else _find_heading(tokens),
        language=language[1].lower() if language else None,
        encoding=encoding,
        removed={"markup": max(0, count_visible(text) - count_visible(plain))},
    )


@cache
def _make_parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _list_blocks(tokens: list[Token]) -> Iterator[str]:
    """Yield each block: a paragraph or heading as one line, a list, table or code with its lines."""
    lines: list[str] = []
    items: list[int | None] = []
    """For each open list, the number of its next item; None for bullets."""
    prefix = ""
    in_table = False
    for token in tokens:
        in_table = token.type == "table_open" or (in_table and token.type != "table_close")
        if token.type in {"bullet_list_open", "ordered_list_open"}:
            items.append(int(token.attrGet("start") or 1) if token.type.startswith("ordered") else None)
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            items.pop()
        elif token.type == "list_item_open":
            prefix = "  " * (len(items) - 1) + ("- " if items[-1] is None else f"{items[-1]}. ")
            items[-1] = None if items[-1] is None else items[-1] + 1
        elif token.type == "tr_open":
            lines.append("")
        elif token.type == "inline" and in_table:
            lines[-1] += ("\t" if lines[-1] else "") + _write_inline(token)
        elif token.type in {"inline", "fence", "code_block", "html_block"}:
            lines.append(prefix + _write_inline(token))
            prefix = " " * len(prefix)
        if not items and not in_table and lines:
            yield "\n".join(line for line in lines if line.strip())
            lines, prefix = [], ""


def _write_inline(token: Token) -> str:
    if token.type in {"fence", "code_block"}:
        return token.content.rstrip("\n")
    if token.type == "html_block":
        return _INLINE_TAG.sub("", token.content).strip()
    parts: list[str] = []
    for child in token.children or []:
        if child.type == "hardbreak":
            parts.append("\n")
        elif child.type == "softbreak":
            parts.append(" ")
        elif child.type == "text":
            parts.append(_WIKI_LINK.sub(r"\1", _EMBEDDED.sub("", _NOTE_MARK.sub("", child.content))))
        elif child.type == "code_inline":
            parts.append(child.content)
    return "".join(parts)


def _find_heading(tokens: list[Token]) -> str | None:
    """The first heading of the highest level."""
    for token, inline in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            return _write_inline(inline).strip() or None
    return None
