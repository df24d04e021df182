"""The grammar of the stories, sentence by sentence: what each plot can say, and what a sentence says about its facts.

``read_sentence`` is the inverse of telling: it finds the sentences of a plot that a text can be, and for each the facts
that it leaves possible. A character is three facts, since a pronoun only tells its gender: ``hero.name``, ``hero.kind``
and ``hero.gender``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from random import Random
from typing import TypeAlias

from semilla.stories.lexicon import Entry
from semilla.stories.plots import Character, Fact, Plot
from semilla.stories.stories import SPEECH_MARKS, Library, Teller, load_library
from semilla.stories.templates import BankSlot, Choice, Node, Slot, Template
from semilla.stories.terms import Language

Facts: TypeAlias = Mapping[str, frozenset[str]]
"""Fact -> the values that are still possible."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_SENTENCES_KEPT = 1024
_LAST_WORD = re.compile(r"\w*$")
_SENTENCE_START = re.compile(r'(?:^—?|(?<=[.!?] ))["«¿¡]*(?=\w)')
_UNDO = {
    "en": ((re.compile(r"\b([Aa])n (?=\w)"), r"\1 "),),
    "es": (
        (re.compile(r"\b([Dd])el\b"), r"\1e el"),
        (re.compile(r"\b([Aa])l\b"), r"\1 el"),
        (re.compile(r"\be (?=\w)"), "y "),
        (re.compile(r"\bu (?=\w)"), "o "),
    ),
}
"""Undo what a grammar's ``finish`` does, so that the words of two slots do not depend on each other."""


@dataclass(frozen=True, eq=False)
class Sentence:
    """A sentence of a plot, or a line of speech: sentence ``place`` of the ``num_in_line`` of a line of a beat."""

    template: Template
    beat: int
    place: int
    is_last: bool
    anchor: str
    """The longest text that every form of the sentence contains."""


@dataclass(frozen=True)
class Meaning:
    """A sentence that a text can be, and the facts that it leaves possible."""

    sentence: Sentence
    facts: Facts


def split_sentences(text: str) -> list[str]:
    """The sentences of a story; a line that begins with speech is one."""
    return [
        sentence
        for line in text.splitlines()
        for sentence in ([line] if line.startswith(SPEECH_MARKS) else _SENTENCE_END.split(line))
        if sentence.strip()
    ]


class PlotGrammar:
    """Everything that a plot can say in a language."""

    def __init__(self, plot: Plot, language: Language) -> None:
        self.plot = plot
        self.language = language
        self.library = load_library()
        self.domains = _find_domains(plot, self.library)
        self.sentences = tuple(self._list_sentences())
        self._surfaces: dict[Slot, tuple[dict[str, Facts], tuple[int, ...]]] = {}

    def read(self, sentence: str) -> list[Meaning]:
        """Every way to read a sentence; none when the plot cannot say it."""
        texts = _prepare(sentence, self.language)
        if texts is None:
            return []
        meanings = []
        for one in self.sentences:
            if one.anchor in texts[0]:
                found = next(self._match(one.template, 0, texts, 0, {}), None)
                if found is not None:
                    meanings.append(Meaning(one, found))
        return meanings

    def list_texts(self) -> Iterator[str]:
        """Every piece of text that the plot's sentences are made of; a slot after a letter completes a word."""
        waiting = [one.template for one in self.sentences]
        while waiting:
            before = ""
            for node in waiting.pop():
                if isinstance(node, str):
                    yield node
                elif isinstance(node, Choice):
                    waiting += node.options
                elif isinstance(node, Slot):
                    yield from (before + text for text in self._list_surfaces(node)[0])
                before = _LAST_WORD.findall(node)[0] if isinstance(node, str) else ""

    def _list_sentences(self) -> Iterator[Sentence]:
        for beat, one in enumerate(self.plot.beats):
            for line in one.alternatives[self.language]:
                for template in _expand_banks(line, self.library, self.language):
                    parts = [undo_in_template(part, self.language) for part in _split_template(template)]
                    for place, part in enumerate(parts):
                        yield Sentence(part, beat, place, place == len(parts) - 1, _find_anchor(part))

    def _match(
        self, template: Template, place: int, texts: tuple[str, str], start: int, facts: Facts
    ) -> Iterator[Facts]:
        """The facts of every way to match the nodes from ``place`` on with the text from ``start`` to its end."""
        if place == len(template):
            if start == len(texts[0]):
                yield facts
            return
        node = template[place]
        if isinstance(node, str):
            if any(text.startswith(node, start) for text in texts):
                yield from self._match(template, place + 1, texts, start + len(node), facts)
        elif isinstance(node, Choice):
            for option in node.options:
                yield from self._match((*option, *template[place + 1 :]), 0, texts, start, facts)
        else:
            assert isinstance(node, Slot)
            for length, joined in self._match_slot(node, texts, start, facts):
                yield from self._match(template, place + 1, texts, start + length, joined)

    def _match_slot(
        self, slot: Slot, texts: tuple[str, str], start: int, facts: Facts
    ) -> Iterator[tuple[int, Facts]]:
        """The lengths of the texts at ``start`` that a slot can say, each with the facts then possible."""
        surfaces, lengths = self._list_surfaces(slot)
        for length in lengths:
            for found in dict.fromkeys(text[start : start + length] for text in texts):
                joined = join_facts(facts, surfaces[found]) if found in surfaces else {"": frozenset()}
                if len(found) == length and all(joined.values()):
                    yield length, joined

    def _list_surfaces(self, slot: Slot) -> tuple[dict[str, Facts], tuple[int, ...]]:
        """Everything that a slot can say, with the facts that it means, and the lengths of these texts."""
        if slot not in self._surfaces:
            surfaces: dict[str, dict[str, set[str]]] = {}
            for facts, meant in self._draw_facts(slot):
                teller = Teller(self.language, self.library, facts, Random(0), Random(0))  # noqa: S311
                text = undo_contractions(teller.render_slot(slot), self.language)
                found = surfaces.setdefault(text, {})
                for name, value in meant.items():
                    found.setdefault(name, set()).update(value)
            frozen: dict[str, Facts] = {
                text: {name: frozenset(values) for name, values in facts.items()}
                for text, facts in surfaces.items()
            }
            self._surfaces[slot] = frozen, tuple(sorted({len(text) for text in frozen}))
        return self._surfaces[slot]

    def _draw_facts(self, slot: Slot) -> Iterator[tuple[dict[str, Fact], Facts]]:
        """Every combination of the facts that a slot is about, as far as its words depend on them."""
        choices: dict[str, list[tuple[Fact, Facts]]] = {}
        for word in (*slot.words, *slot.targets):
            if word.base not in self.domains:
                continue
            is_target = word in slot.targets
            aspect = "gender" if is_target else "kind" if word.forms[:1] == ("kind",) else "name"
            choices[word.base] = list(self._list_choices(word.base, aspect))
        for combination in product(*choices.values()):
            facts = dict(zip(choices, (fact for fact, _ in combination), strict=True))
            yield facts, {name: values for _, meant in combination for name, values in meant.items()}

    def _list_choices(self, name: str, aspect: str) -> Iterator[tuple[Fact, Facts]]:
        """Facts that differ in an aspect, each with what it tells."""
        domain = self.domains[name]
        if not isinstance(domain[0], Character):
            by_class: dict[object, list[Entry]] = {}
            for entry in domain:
                assert isinstance(entry, Entry)
                term = entry.terms[self.language]
                key = (term.gender, term.is_several, term.is_animate) if aspect == "gender" else entry.key
                by_class.setdefault(key, []).append(entry)
            for entries in by_class.values():
                yield entries[0], {name: frozenset(entry.key for entry in entries)}
            return
        seen: dict[str, Character] = {}
        for one in domain:
            assert isinstance(one, Character)
            value = {"gender": find_gender(one), "kind": one.kind.key, "name": one.name.key}[aspect]
            seen.setdefault(value, one)
        for value, one in seen.items():
            yield one, {f"{name}.{aspect}": frozenset([value])}


@lru_cache(maxsize=_SENTENCES_KEPT)
def _prepare(sentence: str, language: Language) -> tuple[str, str] | None:
    """A sentence as every plot compares it: its capitals as written, and those of its beginnings in lower case.

    None when a contraction or a capital letter is wrong.
    """
    text = undo_contractions(sentence, language)
    if load_library().grammars[language].finish(text) != sentence:
        return None
    starts = {match.end() for match in _SENTENCE_START.finditer(text)}
    if any(text[start].islower() for start in starts):
        return None
    return text, "".join(letter.lower() if place in starts else letter for place, letter in enumerate(text))


def find_gender(character: Character) -> str:
    return character.name.terms["es"].gender


def join_facts(facts: Facts, others: Facts) -> dict[str, frozenset[str]]:
    """The facts that both leave possible."""
    return {**facts, **{name: facts.get(name, values) & values for name, values in others.items()}}


@cache
def load_grammars(language: Language) -> tuple[PlotGrammar, ...]:
    return tuple(PlotGrammar(plot, language) for plot in load_library().plots)


def undo_contractions(text: str, language: Language) -> str:
    for pattern, replacement in _UNDO[language]:
        text = pattern.sub(replacement, text)
    return text


def undo_in_template(template: Template, language: Language) -> Template:
    return tuple(undo_in_node(node, language) for node in template)


def undo_in_node(node: Node, language: Language) -> Node:
    if isinstance(node, str):
        return undo_contractions(node, language)
    if isinstance(node, Choice):
        return Choice(tuple(undo_in_template(option, language) for option in node.options))
    return node


def _find_domains(plot: Plot, library: Library) -> dict[str, tuple[Fact, ...]]:
    """Every value that each fact of a plot can have."""
    select = library.lexicon.select
    domains: dict[str, tuple[Fact, ...]] = {}
    for name, query in plot.cast.items():
        domains[name] = tuple(
            Character(kind, given)
            for kind in select(query)
            for given in select("girl-name" if kind.terms["es"].gender == "f" else "boy-name")
        )
    for name, (query, _) in plot.queries:
        domains[name] = select(query)
    return {**domains, **plot.values}


def _expand_banks(template: Template, library: Library, language: Language) -> Iterator[Template]:
    """The template once for each line of the banks in it."""
    for place, node in enumerate(template):
        if isinstance(node, BankSlot):
            for line in library.banks[node.name][language]:
                yield from _expand_banks(
                    (*template[:place], *line, *template[place + 1 :]), library, language
                )
            return
    yield template


def _split_template(template: Template) -> list[Template]:
    """The sentences of a template; a piece that begins with speech is one."""
    pieces: list[list[Node]] = [[]]
    for node in template:
        first, *others = node.split("//") if isinstance(node, str) else [node]
        pieces[-1].append(first)
        pieces += [[other] for other in others]
    return [_join_text(sentence) for piece in pieces for sentence in _split_piece(piece) if any(sentence)]


def _split_piece(piece: list[Node]) -> Iterator[list[Node]]:
    nodes = [node for node in piece if node != ""]
    if nodes and isinstance(nodes[0], str):
        nodes[0] = nodes[0].lstrip()
    if nodes and isinstance(nodes[-1], str):
        nodes[-1] = nodes[-1].rstrip()
    if not any(nodes):
        return
    if isinstance(nodes[0], str) and nodes[0].startswith(SPEECH_MARKS):
        yield nodes
        return
    sentence: list[Node] = []
    for node in nodes:
        first, *others = _SENTENCE_END.split(node) if isinstance(node, str) else [node]
        sentence.append(first)
        for other in others:
            yield sentence
            sentence = [other]
    yield sentence


def _join_text(nodes: list[Node]) -> Template:
    return tuple(node for node in nodes if node != "")


def _find_anchor(template: Template) -> str:
    """The longest literal, without its first letter, which may be a capital in a text."""
    texts = [node[1:] for node in template if isinstance(node, str)]
    return max(texts, key=len, default="")
