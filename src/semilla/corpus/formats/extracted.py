"""What a reader of a format gives: documents, or one reason why there are none."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from semilla.errors import InvalidCorpusError

Reason = Literal[
    "unreadable",
    "empty",
    "binary",
    "encrypted",
    "duplicate",
    "too large",
    "unknown format",
    "package missing",
    "unsafe path",
    "hidden",
    "link",
    "special file",
    "written by a run",
    "other split",
    "other subset",
    "other format",
    "not data",
]
"""Why a file is left out."""
MAX_FILE_BYTES = 128 << 20
"""Of one file, packed or unpacked, and of the text in it. Cleaning takes about ten times that in memory."""


LONE_SURROGATES = "lone_surrogates"
"""Kind of replaced characters: halves of a surrogate pair, which UTF-8 cannot write."""
_PAIR = re.compile("([\ud800-\udbff])([\udc00-\udfff])")
_HALF = re.compile("[\ud800-\udfff]")


class UnreadableError(InvalidCorpusError):
    """A file that cannot be used, and the kind of reason."""

    def __init__(self, message: str, *, reason: Reason, next_command: str | None = None) -> None:
        super().__init__(message, next_command=next_command)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Extracted:
    """One document as its file has it, before cleaning.

    ``layout`` is what the format knows of its lines: ``lines`` where a paragraph is one line, ``verbatim`` for code,
    ``auto`` where lines may be wrapped. ``removed`` counts characters that are not text, such as navigation, and
    ``replaced`` those that another one stands for.
    """

    text: str
    title: str | None = None
    author: str | None = None
    language: str | None = None
    encoding: str = "utf-8"
    layout: Literal["auto", "prose", "lines", "verbatim"] = "lines"
    removed: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    note: str = ""
    """A fact about the file that its reader tells the user, with its first document."""


@dataclass(frozen=True)
class ReadOptions:
    """What a user says about files: their encoding, and the columns of text and title in tables."""

    encoding: str = "auto"
    text_column: str = ""
    title_column: str = ""


def mend_surrogates(document: Extracted) -> Extracted:
    """Join the surrogate pairs of a document, and replace each lone half by U+FFFD.

    JSON, RTF and UTF-7 can write them as escapes. Those of the text, not of title and author, are counted.
    """
    text, num_lone = _mend(document.text)
    title, author = (
        value if value is None else _mend(value)[0] for value in (document.title, document.author)
    )
    if (text, title, author) == (document.text, document.title, document.author):
        return document
    counts = Counter(document.replaced) + Counter({LONE_SURROGATES: num_lone})
    return replace(document, text=text, title=title, author=author, replaced=dict(counts))


def _mend(text: str) -> tuple[str, int]:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return text, 0
    joined = _PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    return _HALF.subn("\ufffd", joined)


def shorten_language(code: str | None) -> str | None:
    """The two-letter language of a code such as ``es-MX``; None for any other code."""
    language = (code or "").replace("_", "-").partition("-")[0].strip().lower()
    return language if len(language) == 2 and language.isascii() and language.isalpha() else None


def count_visible(text: str) -> int:
    """Characters that are no white space."""
    return sum(map(len, text.split()))
