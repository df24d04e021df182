"""Minimal pairs as rows: how often the model prefers the correct sentence, by phenomenon, with an example."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import takewhile

from semilla.records.results import GrammarResults, PairAccuracy
from semilla.stories.minimal_pairs import make_pairs
from semilla.stories.terms import LANGUAGES

CONTEXT_WORDS = 3
CHANCE = 0.5
_TIED = "\N{NO-BREAK SPACE}"
"""Keeps an ellipsis on the line of its word."""


@dataclass(frozen=True)
class Example:
    """A pair, cut to where its sentences differ. ``before`` and ``after`` are in both."""

    before: str
    right: str
    wrong: str
    after: str


@dataclass(frozen=True)
class Phenomenon:
    """One row. ``tone`` says whether the interval is above chance (good), includes it (open) or is below (bad)."""

    key: str
    name: str
    result: PairAccuracy
    tone: str
    example: Example | None


def list_phenomena(language: str, results: GrammarResults) -> list[Phenomenon]:
    """List the phenomena that were measured, weakest first."""
    examples = find_examples(language, frozenset(results.phenomena))
    rows = sorted(results.phenomena.items(), key=lambda row: row[1].accuracy)
    return [
        Phenomenon(key, key.replace("_", " "), result, _judge(result), examples.get(key))
        for key, result in rows
    ]


def _judge(result: PairAccuracy) -> str:
    if result.low > CHANCE:
        return "good"
    return "open" if result.high >= CHANCE else "bad"


@cache
def find_examples(language: str, phenomena: frozenset[str]) -> dict[str, Example]:
    """One example for each of these phenomena of a language, if the language has pairs."""
    known = next((one for one in LANGUAGES if one == language), None)
    pairs = make_pairs(known, seed=0, per_phenomenon=1, phenomena=phenomena) if known else []
    return {pair.phenomenon: cut_pair(pair.right, pair.wrong) for pair in pairs}


def cut_pair(right: str, wrong: str) -> Example:
    """Keep the words in which two sentences differ, and a few words around them."""
    rights, wrongs = right.split(), wrong.split()
    start = _count_equal(rights, wrongs)
    end = _count_equal(rights[start:][::-1], wrongs[start:][::-1])
    before, after = rights[:start], rights[len(rights) - end :]
    return Example(
        (f"…{_TIED}" if start > CONTEXT_WORDS else "") + " ".join(before[-CONTEXT_WORDS:]),
        " ".join(rights[start : len(rights) - end]),
        " ".join(wrongs[start : len(wrongs) - end]),
        " ".join(after[:CONTEXT_WORDS]) + (f"{_TIED}…" if end > CONTEXT_WORDS else ""),
    )


def _count_equal(some: list[str], others: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False)))
