"""Prints Markdown: rendered on a terminal, unchanged anywhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping

from semilla.terminal.console import print_text
from semilla.terminal.tables import can_draw, make_console

MAX_COLUMNS = 100
"""Longer lines are hard to read, even on a wide terminal."""
_COMMENT = re.compile(r"^<!--.*?-->\n|<!--.*?-->", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def print_markdown(text: str, *, names: Mapping[str, str] | None = None) -> None:
    """Print Markdown without its comments. A link whose address is in ``names`` is followed by that name."""
    readable = name_links(_COMMENT.sub("", text), names or {}).strip()
    if not can_draw():
        print_text(readable)
        return
    from rich.markdown import Markdown  # noqa: PLC0415 - imports highlighters for all languages

    console = make_console()
    page = Markdown(readable, hyperlinks=False, code_theme="ansi_dark", justify="left")
    console.print(page, width=min(console.width, MAX_COLUMNS))


def name_links(text: str, names: Mapping[str, str]) -> str:
    """Put the name of its target behind each link, instead of the address, where ``names`` has one."""
    return _LINK.sub(lambda link: _name_link(link, names), text)


def _name_link(link: re.Match[str], names: Mapping[str, str]) -> str:
    words, name = link[1], names.get(link[2])
    if name is None:
        return link[0]
    return f"`{name}`" if name == words else f"{words} (`{name}`)"
