"""Shows what a step of cleaning changed: the first changed lines, as a diff."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from itertools import islice

from semilla.corpus.cleaning.ledger import Step
from semilla.terminal.console import print_text

_MAX_LINES = 12
_COMPARED_LINES = 80
_COLUMNS = 100
_MEANINGS = {
    "repair": "text that was encoded twice is mended",
    "characters": "line breaks, spaces, accents and control characters",
    "books": "header and licence of Project Gutenberg",
    "lines": "wrapped lines are joined; page numbers and other furniture of a book go",
    "dedupe": "what came before goes",
}


def print_steps(name: str, steps: list[Step]) -> None:
    print_text(f"cleaning of {name}")
    for step in steps:
        print_text(f"  {step.name}: {_MEANINGS[step.name]}")
        for line in list_changes(step.before, step.after):
            print_text(f"    {line}")


def list_changes(before: str, after: str) -> Iterator[str]:
    """The first changed lines, with - and +, and the rest counted."""
    olds, news = before.splitlines(), after.splitlines()
    if olds == news:  # other line breaks, or one at the end
        yield "(only line breaks)"
        return
    pairs = enumerate(zip(olds, news, strict=False))
    first = next((place for place, (old, new) in pairs if old != new), min(len(olds), len(news)))
    window = slice(max(0, first - 1), first + _COMPARED_LINES)
    changes = [
        line
        for line in islice(unified_diff(olds[window], news[window], n=1, lineterm=""), 2, None)
        if not line.startswith("@@")
    ]
    for line in changes[:_MAX_LINES]:
        yield line if len(line) <= _COLUMNS else line[: _COLUMNS - 1] + "…"
    is_whole = len(olds) <= window.stop and len(news) <= window.stop
    if len(changes) > _MAX_LINES or not is_whole:
        yield f"... ({len(olds):,} lines before, {len(news):,} after)"
