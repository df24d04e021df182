"""Breaks lines between words while a text is still being written."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len

_PARTS = re.compile(r"\n|[^\S\n]+|[^\s]+")


class LineWrapper:
    """Wraps text to ``columns``, piece by piece. An unfinished word is held back until what follows it is known."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._column = 0
        self._gap = ""
        self._word = ""

    def push(self, text: str) -> str:
        """Return what can be shown now."""
        shown = ""
        for part in _PARTS.findall(text):
            if part == "\n":
                shown += self.finish() + part
                self._column, self._gap = 0, ""
            elif part.isspace():
                shown += self.finish()
                self._gap += part
            else:
                for character in part:
                    if self._word and (_stands_alone(character) or _stands_alone(self._word)):
                        shown += self.finish()
                    self._word += character
        return shown

    def finish(self) -> str:
        """Return the word that was held back."""
        if not self._word:
            return ""
        width, gap = cell_len(self._word), self._gap
        if self._column and self._column + cell_len(gap) + width > self._columns:
            gap, self._column = "\n", 0
        else:
            self._column += cell_len(gap)
        shown = gap + self._word
        # The terminal itself breaks a word that is longer than a line.
        self._column = (
            (self._column + width) % max(self._columns, 1) if width > self._columns else self._column + width
        )
        self._gap = self._word = ""
        return shown


def _stands_alone(text: str) -> bool:
    """Whether lines may be broken beside this character: scripts without spaces, whose characters are wide."""
    return (
        len(text) == 1
        and unicodedata.category(text) == "Lo"
        and unicodedata.east_asian_width(text) == "W"
        and not (
            "\uac00" <= text <= "\ud7a3"  # Korean has spaces
        )
    )
