"""Reads the plots of ``material/plots/``, and chooses the facts of a story: who and what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from random import Random
from typing import Any, TypeAlias, TypeVar

from semilla.errors import InternalError
from semilla.stories.heldout import Combination, is_held_out
from semilla.stories.lexicon import Entry, Lexicon, make_entry, read_tables
from semilla.stories.templates import Template, compile_lines
from semilla.stories.terms import LANGUAGES, Language

Alternatives = Mapping[Language, tuple[Template, ...]]
T = TypeVar("T")

_WORD = re.compile(r"\w+")
_MAX_TRIES = 50
_MAX_DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Character:
    """A person or animal with a name; ``kind`` is a noun: a girl, an owl, a baker."""

    kind: Entry
    name: Entry


Fact: TypeAlias = Entry | Character


@dataclass(frozen=True, slots=True)
class Beat:
    """One step of a plot; ``chance`` is the probability that it is told. ``paths`` are those it is on, () for all."""

    alternatives: Alternatives
    chance: float
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Plot:
    """``object_name`` is the fact that is the story's object: the first one, unless the file names another.

    ``grade`` is the smallest corpus that tells it, 1 to 3. A story takes one of the ``paths`` through its middle.
    """

    key: str
    grade: int
    object_name: str
    paths: tuple[str, ...]
    cast: Mapping[str, str]
    facts: Mapping[str, str]
    values: Mapping[str, tuple[Entry, ...]]
    beats: tuple[Beat, ...]

    @cached_property
    def queries(self) -> tuple[tuple[str, tuple[str, str]], ...]:
        """The facts by name; ``colour for thing`` is split into the query ``colour`` and the fact ``thing``."""
        parts = {name: query.partition(" for ") for name, query in self.facts.items()}
        return tuple((name, (query, target_name)) for name, (query, _, target_name) in parts.items())


def pick(rng: Random, items: tuple[T, ...] | list[T]) -> T:
    """Choose one. ``Random.choice`` may differ between Python versions; ``random()`` is guaranteed not to."""
    return items[int(rng.random() * len(items))]


def load_plots() -> tuple[tuple[Plot, ...], dict[str, Alternatives]]:
    """Read every plot, and the banks that they share."""
    tables = dict(read_tables("plots"))
    shared = tables.pop("shared")
    banks = {name: _compile_alternatives(name, bank) for name, bank in shared["bank"].items()}
    return tuple(_make_plot(key, table, shared) for key, table in tables.items()), banks


def _make_plot(key: str, table: dict[str, Any], shared: dict[str, Any]) -> Plot:
    values = {
        name: tuple(_make_value(f"{key}.{name}.{place}", row) for place, row in enumerate(rows))
        for name, rows in table.get("values", {}).items()
    }
    own_facts = table.get("facts", {})
    words = _collect_words(table["beat"], shared["bank"])
    facts = own_facts | {
        name: query for name, query in shared["facts"].items() if name in words and name not in own_facts
    }
    beats = tuple(
        Beat(_compile_alternatives(key, beat), beat.get("chance", 1.0), tuple(beat.get("path", "").split()))
        for beat in table["beat"]
    )
    object_name = table.get("object", next(iter(own_facts)))
    paths = tuple(table.get("paths", ("",)))
    return Plot(key, table["grade"], object_name, paths, table["cast"], facts, values, beats)


def _collect_words(tables: list[dict[str, Any]], banks: dict[str, Any]) -> set[str]:
    """Every word in the lines of a plot and of the banks they use; a shared fact not among them is not needed."""
    words: set[str] = set()
    waiting = list(tables)
    while waiting:
        table = waiting.pop()
        new = (_find_words(table["en"]) | _find_words(table["es"])) - words
        words |= new
        waiting += [banks[name] for name in new if name in banks]
    return words


@cache
def _find_words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


def _make_value(key: str, row: dict[str, Any]) -> Entry:
    return make_entry(key, {"en": "", "es": "", **row}, part="phrase", category="value")


def _compile_alternatives(key: str, table: dict[str, Any]) -> Alternatives:
    alternatives = {language: compile_lines(table[language]) for language in LANGUAGES}
    if not all(alternatives.values()):
        raise InternalError(f"{key!r} has a beat or bank without a line")
    return alternatives


def choose_facts(plot: Plot, rng: Random, lexicon: Lexicon, *, held_out: bool = False) -> dict[str, Fact]:
    """Choose who and what a story is about: a combination to train on, or with ``held_out`` one never trained on.

    InternalError when the plot has no such combination.
    """
    for _ in range(_MAX_DRAWS):
        facts: dict[str, Fact] = {}
        for name, fact in _draw_facts(plot, rng, lexicon):
            facts[name] = fact
            # Stop early: seven combinations in eight are not held out, and the seventy later facts do not matter.
            if held_out and name == plot.object_name and not is_held_out(find_combination(plot, facts)):
                break
        else:
            if is_held_out(find_combination(plot, facts)) == held_out:
                return facts
    raise InternalError(f"the plot {plot.key!r} has no combination with held_out={held_out}")


def find_combination(plot: Plot, facts: Mapping[str, Fact]) -> Combination:
    """The character, the object and the plot of a story; the English words stand for both languages."""
    hero, thing = (facts[name] for name in (next(iter(plot.cast)), plot.object_name))
    return Combination(_name_kind(hero), _name_kind(thing), plot.key)


def _name_kind(fact: Fact) -> str:
    kind = _find_kind(fact)
    return kind.terms["en"].text or kind.key


def _find_kind(fact: Fact) -> Entry:
    return fact.kind if isinstance(fact, Character) else fact


def _draw_facts(plot: Plot, rng: Random, lexicon: Lexicon) -> Iterator[tuple[str, Fact]]:
    """Draw facts so that no two share a word, and no two characters share an initial."""
    facts: dict[str, Fact] = {}
    used: set[str] = set()
    for name, query in plot.cast.items():
        facts[name] = _choose_character(query, rng, lexicon, used)
        yield name, facts[name]
    for name, (query, target_name) in plot.queries:
        target = _find_kind(facts[target_name]) if target_name else None
        candidates = lexicon.select_for(query, target) if target else lexicon.select(query)
        facts[name] = _pick_unused(candidates, rng, used)
        yield name, facts[name]
    for name, entries in plot.values.items():
        yield name, pick(rng, entries)


def _choose_character(query: str, rng: Random, lexicon: Lexicon, used: set[str]) -> Character:
    kind = _pick_unused(lexicon.select(query), rng, used)
    names = lexicon.select("girl-name" if kind.terms["es"].gender == "f" else "boy-name")
    return Character(kind, _pick_unused(names, rng, used))


def _pick_unused(candidates: tuple[Entry, ...], rng: Random, used: set[str]) -> Entry:
    """Pick an entry that shares no mark with those in ``used``, or any entry after many tries: small pools run out."""
    for _ in range(_MAX_TRIES):
        entry = pick(rng, candidates)
        if used.isdisjoint(entry.marks):
            break
    used.update(entry.marks)
    return entry
