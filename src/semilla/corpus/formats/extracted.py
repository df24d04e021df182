"""What a reader of a format gives: documents, or one reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass, field
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
]
"""Why a file is left out."""
MAX_FILE_BYTES = 128 << 20
"""Of one file, packed or unpacked, and of the text in it. Cleaning takes about ten times that in memory."""


class UnreadableError(InvalidCorpusError):
    """A file that cannot be used, and the kind of reason."""

    def __init__(self, message: str, *, reason: Reason, next_command: str | None = None) -> None:
        super().__init__(message, next_command=next_command)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Extracted:
    """One document as its file has it, before cleaning.

    ``layout`` is what the format knows of its lines: ``lines`` where a paragraph is one line, ``verbatim`` for code,
    ``auto`` where lines may be wrapped. ``removed`` counts characters that are not text, such as navigation.
    """

    text: str
    title: str | None = None
    author: str | None = None
    language: str | None = None
    encoding: str = "utf-8"
    layout: Literal["auto", "prose", "lines", "verbatim"] = "lines"
    removed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadOptions:
    """What a user says about files: their encoding, and the columns of text and title in tables."""

    encoding: str = "auto"
    text_column: str = ""
    title_column: str = ""


def shorten_language(code: str | None) -> str | None:
    """The two-letter language of a code such as ``es-MX``; None for any other code."""
    language = (code or "").replace("_", "-").partition("-")[0].strip().lower()
    return language if len(language) == 2 and language.isascii() and language.isalpha() else None
