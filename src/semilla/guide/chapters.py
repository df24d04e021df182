"""Parses a chapter's Markdown into parts, diagrams, code examples, tables and links.

Comments, which every viewer hides, hold what Markdown cannot express. The chapter's own data is below its title; other
comments describe a block::

    <!--                                    <!-- diagram: what it shows -->   before ```text
    id: tokenization                        <!-- output -->                   between ```python and its ```text
    phase: tokenizer_training               <!-- exit: 5 -->                  before ```shell: its last exit code
    prerequisites: overview                 <!-- generated: name -->, <!-- end -->   around what scripts/docs writes
    teaches: token, vocabulary              <!-- recorded: name .3f -->       after a number of the recorded run
    -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NoReturn

from markdown_it import MarkdownIt
from markdown_it.token import Token

from semilla.errors import IntegrityError

RUNNABLE = ("python", "shell")
LANGUAGES = (*RUNNABLE, "text", "toml", "json")
DIRECTIVES = {"diagram", "output", "exit", "generated", "end", "recorded"}
_DATA = ("id", "phase", "prerequisites", "teaches")
_COMMENT = re.compile(r"^<!-- (?P<name>[a-z]+)(?:: (?P<value>[^\n]*?))? -->$")
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Diagram:
    """A picture made of characters, and its caption."""

    caption: str
    text: str


@dataclass(frozen=True)
class CodeExample:
    """A block that can be run: Python and its output, or a shell session that includes its output."""

    language: str
    source: str
    output: str
    line: int
    """The line of the chapter where the source begins, from 1."""
    exit_code: int = 0


@dataclass(frozen=True)
class Part:
    """The content of one ``##`` heading, including the heading."""

    section_id: str
    title: str
    content: str


@dataclass(frozen=True)
class DocumentSection:
    """A chapter. The fields of the specification come first."""

    section_id: str
    title: str
    content: str
    diagrams: tuple[Diagram, ...]
    code_examples: tuple[CodeExample, ...]
    prerequisites: tuple[str, ...]

    file_name: str
    phase: str | None
    teaches: tuple[str, ...]
    """Glossary terms that this chapter is the first to explain."""
    parts: tuple[Part, ...]
    anchors: tuple[str, ...]
    """The anchors of all headings below the title."""
    links: tuple[str, ...]
    """Links to pages of the guide, as ``file.md`` or ``file.md#anchor``."""
    num_tables: int


def parse_chapter(markdown: str, *, file_name: str) -> DocumentSection:
    """Parse a chapter; IntegrityError, with the line, if it breaks the rules above."""
    return _Chapter(markdown, file_name).read()


def make_anchor(heading: str) -> str:
    """Make the anchor of a heading as code hosts do: lower case, hyphens for spaces, no other punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


class _Chapter:
    """Turns the Markdown tokens of a chapter into data."""

    def __init__(self, markdown: str, file_name: str) -> None:
        self.markdown, self.file_name = markdown, file_name
        self.lines = markdown.splitlines(keepends=True)
        self.tokens: Sequence[Token] = _MARKDOWN.parse(markdown)

    def read(self) -> DocumentSection:
        data = self.data
        for place, token in enumerate(self.tokens):
            self.read_directive(place)
            if token.type == "fence" and token.info not in LANGUAGES:
                self.refuse(_get_line(token) + 1, f"has a block of {token.info!r}; allowed are {LANGUAGES}")
        return DocumentSection(
            section_id=data["id"],
            title=self.title,
            content=self.markdown,
            diagrams=tuple(self.find_diagrams()),
            code_examples=tuple(self.find_examples()),
            prerequisites=_split(data.get("prerequisites", "")),
            file_name=self.file_name,
            phase=data.get("phase"),
            teaches=_split(data.get("teaches", "")),
            parts=tuple(self.find_parts()),
            anchors=tuple(make_anchor(text) for tag, text, _ in self.headings if tag != "h1"),
            links=tuple(self.find_links()),
            num_tables=sum(token.type == "table_open" for token in self.tokens),
        )

    @property
    def title(self) -> str:
        titles = [text for tag, text, _ in self.headings if tag == "h1"]
        if len(titles) != 1:
            self.refuse(1, "needs exactly one title")
        return titles[0]

    @cached_property
    def headings(self) -> list[tuple[str, str, int]]:
        return find_headings(self.tokens)

    @property
    def data(self) -> dict[str, str]:
        """The data in the comment below the title."""
        comments = [token for token in self.tokens if token.type == "html_block"]
        lines = comments[0].content.strip().splitlines()[1:-1] if comments else []
        data = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "id" not in data or not data.keys() <= set(_DATA):
            self.refuse(2, f"needs a comment below its title with id and optionally {', '.join(_DATA[1:])}")
        return data

    def find_diagrams(self) -> Iterator[Diagram]:
        for place, token in enumerate(self.tokens):
            if token.type == "fence":
                name, value = self.read_directive(place - 1)
                if name == "diagram":
                    yield Diagram(value, token.content)

    def find_examples(self) -> Iterator[CodeExample]:
        for place, token in enumerate(self.tokens):
            if token.type == "fence" and token.info in RUNNABLE:
                name, value = self.read_directive(place - 1)
                exit_code = int(value) if name == "exit" else 0
                output = self.read_output(place)
                yield CodeExample(token.info, token.content, output, _get_line(token) + 2, exit_code)

    def read_output(self, place: int) -> str:
        """The output of the block at ``place``: the block after the comment that follows it."""
        has_output = self.read_directive(place + 1)[0] == "output"
        return self.tokens[place + 2].content if has_output else ""

    def read_directive(self, place: int) -> tuple[str, str]:
        """The name and value of the comment at ``place``; two empty strings if it is no comment."""
        token = self.tokens[place] if place < len(self.tokens) else None
        if token is None or token.type != "html_block" or token.content.startswith("<!--\n"):
            return "", ""
        comment = _COMMENT.match(token.content.strip())
        if comment is None or comment["name"] not in DIRECTIVES:
            self.refuse(_get_line(token) + 1, f"has an unknown comment; known are {sorted(DIRECTIVES)}")
        return comment["name"], comment["value"] or ""

    def find_parts(self) -> Iterator[Part]:
        starts = [(text, line) for tag, text, line in self.headings if tag == "h2"]
        for (text, start), (_, end) in pairwise([*starts, ("", len(self.lines))]):
            yield Part(f"{self.data['id']}#{make_anchor(text)}", text, "".join(self.lines[start:end]))

    def find_links(self) -> Iterator[str]:
        """Find the links to pages of the guide, not those to other files or to addresses."""
        for token in self.tokens:
            for child in token.children or ():
                address = str(child.attrs.get("href", ""))
                page, mark, anchor = address.partition("#")
                if child.type == "link_open" and "/" not in page and ":" not in page:
                    yield f"{page or self.file_name}{mark}{anchor}"

    def refuse(self, line: int, complaint: str) -> NoReturn:
        raise IntegrityError(f"the guide's chapter {self.file_name}, line {line}, {complaint}")


def find_headings(tokens: Sequence[Token]) -> list[tuple[str, str, int]]:
    """The tag, the text without marks for emphasis and code, and the line (from 0) of each heading."""
    return [
        (token.tag, "".join(child.content for child in inline.children or ()), _get_line(token))
        for token, inline in pairwise(tokens)
        if token.type == "heading_open"
    ]


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _get_line(token: Token) -> int:
    return token.map[0] if token.map else 0
