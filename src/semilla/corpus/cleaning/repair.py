"""Mends text that was encoded twice (``Ã©`` for ``é``), line by line, with ftfy."""

from __future__ import annotations

from dataclasses import dataclass

from semilla.corpus.formats.mojibake import find_double_encoding
from semilla.errors import DependencyError
from semilla.installation import list_missing, suggest_installation


@dataclass(frozen=True)
class Repaired:
    """A mended text, the number of characters that were put right, and a line as it was and as it is."""

    text: str
    count: int = 0
    before: str = ""
    after: str = ""


def require_repair() -> None:
    """Raise DependencyError when ftfy is not installed."""
    if list_missing(["ftfy"]):
        raise DependencyError(
            "--repair needs a package that is not installed: ftfy", next_command=suggest_installation("text")
        )


def repair_text(text: str) -> Repaired:
    """Mend every line that was encoded twice, in a text that surely has some; any other text stays as it is.

    ftfy alone would take the quotation mark in ``AMANHÃ»`` for the second byte of ``û``.
    """
    if find_double_encoding(text) is None:
        return Repaired(text)
    from ftfy import fix_encoding  # noqa: PLC0415 - only --repair needs it

    lines = text.split("\n")
    mended = [line if line.isascii() else fix_encoding(line) for line in lines]
    changed = [pair for pair in zip(lines, mended, strict=True) if pair[0] != pair[1]]
    if not changed:
        return Repaired(text)
    count = sum(max(1, sum(not one.isascii() for one in after)) for _, after in changed)
    return Repaired("\n".join(mended), count, *changed[0])
