"""Tells one story: chooses a plot, its facts and its words, and renders them in one language."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from random import Random

from semilla.errors import InternalError
from semilla.stories.english import English
from semilla.stories.heldout import Combination
from semilla.stories.lexicon import Entry, Lexicon, load_lexicon
from semilla.stories.plots import (
    Alternatives,
    Beat,
    Character,
    Fact,
    Plot,
    choose_facts,
    find_combination,
    load_plots,
    pick,
)
from semilla.stories.spanish import Spanish
from semilla.stories.templates import BankSlot, Choice, Node, Slot, Template, Word
from semilla.stories.terms import Gender, Language, Term

TWIN_SHARE = 0.5
"""Share of the stories that both languages tell with the same facts."""

MAX_GRADE = 3
"""Grade 1 has a young child's words and plots, grade 3 all."""

_OUTLINES_KEPT = 4096
_PHRASES_KEPT = 32_768

SPEECH_MARKS = ('"', "—")
_SENTENCE_START = re.compile(r'((?:^—?|[.!?] )["«¿¡]*)([a-zà-ÿ])', re.MULTILINE)


@dataclass(frozen=True)
class Library:
    """All the material, read once."""

    lexicon: Lexicon
    plots: tuple[Plot, ...]
    banks: Mapping[str, Alternatives]
    grammars: Mapping[Language, English | Spanish]


@dataclass(frozen=True, slots=True)
class Outline:
    """What a story is about, and which beats it tells."""

    plot: Plot
    facts: Mapping[str, Fact]
    beats: tuple[Beat, ...]


@dataclass(frozen=True)
class Story:
    language: Language
    plot: str
    is_twin: bool
    text: str
    combination: Combination


@cache
def load_library(grade: int = MAX_GRADE) -> Library:
    """The words and plots up to a grade."""
    lexicon = load_lexicon(grade)
    plots, banks = load_plots()
    plots = tuple(plot for plot in plots if plot.grade <= grade)
    verbs = lexicon.irregular_verbs
    return Library(lexicon, plots, banks, {"en": English(verbs["en"]), "es": Spanish(verbs["es"])})


def tell_story(
    language: Language,
    *,
    seed: int,
    index: int,
    held_out: bool = False,
    grade: int = MAX_GRADE,
) -> Story:
    """The story number ``index`` of a language, a pure function of its arguments.

    Twins draw plot, facts and lines from random streams that both languages share, and the words within a line each
    from their own. With ``held_out``, the story is about a combination of character, object and plot that no other
    story has. ``grade`` limits plots and words.
    """
    library = load_library(grade)
    is_twin = _make_rng(seed, index, "twin").random() < TWIN_SHARE
    outline = _outline_story(
        "facts" if is_twin else language, seed=seed, index=index, held_out=held_out, grade=grade
    )
    lines_rng = _make_rng(seed, index, f"lines {'' if is_twin else language}")
    words_rng = _make_rng(seed, index, f"words {language}")
    teller = Teller(language, library, outline.facts, lines_rng, words_rng)
    text = lay_out([teller.tell(beat.alternatives[language]) for beat in outline.beats])
    text = library.grammars[language].finish(text)
    plot = outline.plot
    return Story(language, plot.key, is_twin, text, find_combination(plot, outline.facts))


@lru_cache(maxsize=_OUTLINES_KEPT)
def _outline_story(stream: str, *, seed: int, index: int, held_out: bool, grade: int) -> Outline:
    """Cached for the twin: choosing facts is a third of the work."""
    library = load_library(grade)
    plot = _deal_plot(library.plots, seed=seed, index=index, stream=stream)
    rng = _make_rng(seed, index, stream)
    facts = choose_facts(plot, rng, library.lexicon, held_out=held_out)
    path = pick(rng, plot.paths)
    beats = tuple(beat for beat in plot.beats if not beat.paths or path in beat.paths)
    return Outline(plot, facts, tuple(beat for beat in beats if rng.random() < beat.chance))


def _make_rng(seed: int, index: int, stream: str) -> Random:
    digest = hashlib.sha256(f"{seed}/{index}/{stream}".encode()).digest()
    return Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - stories, not secrets


def _deal_plot(plots: tuple[Plot, ...], *, seed: int, index: int, stream: str) -> Plot:
    """Deal the plots like cards: each is told before any is told again."""
    deal, place = divmod(index, len(plots))
    return _shuffle_plots(plots, seed, deal, stream)[place]


@lru_cache(maxsize=8)
def _shuffle_plots(plots: tuple[Plot, ...], seed: int, deal: int, stream: str) -> list[Plot]:
    rng = _make_rng(seed, deal, f"plots {stream}")
    deck = list(plots)
    for last in range(len(deck) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        deck[last], deck[other] = deck[other], deck[last]
    return deck


@dataclass
class Teller:
    """Renders templates with one story's facts; repeats an alternative only when none is left."""

    language: Language
    library: Library
    facts: Mapping[str, Fact]
    lines_rng: Random
    words_rng: Random
    untold: dict[int, list[Template]] = field(default_factory=dict)

    def tell(self, alternatives: tuple[Template, ...]) -> str:
        untold = self.untold.setdefault(id(alternatives), list(alternatives))
        place = int(self.lines_rng.random() * len(untold or alternatives))
        return self._render(untold.pop(place) if untold else alternatives[place])

    def _render(self, template: Template) -> str:
        return "".join([node if isinstance(node, str) else self._render_node(node) for node in template])

    def _render_node(self, node: Node) -> str:
        if isinstance(node, Slot):
            return self.render_slot(node)
        if isinstance(node, Choice):
            return self._render(pick(self.words_rng, node.options))
        assert isinstance(node, BankSlot)
        if node.name not in self.library.banks:
            raise InternalError(f"there is no bank {node.name!r}")
        return self.tell(self.library.banks[node.name][self.language])

    def render_slot(self, slot: Slot) -> str:
        terms = tuple([self._resolve(word) for word in slot.words])
        targets = [self._resolve_target(word) for word in slot.targets]
        grammar = self.library.grammars[self.language]
        text = _render_phrase(grammar, terms, _join_targets(targets) if targets else None)
        return text[:1].upper() + text[1:] if slot.is_capitalised else text

    def _resolve_target(self, word: Word) -> Term:
        if word.base not in self.facts:
            raise InternalError(f"there is no fact {word.base!r} to agree with")
        return self._resolve(word)

    def _resolve(self, word: Word) -> Term:
        fact, forms = self.facts.get(word.base), word.forms
        if fact is None:
            return _make_literal(word.base, "".join(forms))
        if isinstance(fact, Character):
            if not forms:
                return fact.name.terms[self.language]
            fact, forms = fact.kind, forms[forms[0] == "kind" :]
        return self._resolve_entry(fact, forms[0] if forms else "")

    def _resolve_entry(self, entry: Entry, form: str) -> Term:
        if form not in entry.forms:
            return entry.get_term(self.language, form)
        return Term(self.tell(entry.forms[form][self.language]), "phrase")


@lru_cache(maxsize=_PHRASES_KEPT)
def _render_phrase(grammar: English | Spanish, terms: tuple[Term, ...], target: Term | None) -> str:
    """Cached, because stories repeat most of their phrases."""
    return grammar.render_phrase(terms, target=target)


@cache
def _make_literal(text: str, form: str) -> Term:
    return Term(text, "literal", form)


def _join_targets(terms: list[Term]) -> Term:
    """Several targets count as one plural, in Spanish masculine unless all are feminine."""
    if len(terms) == 1:
        return terms[0]
    gender: Gender = "f" if all(term.gender == "f" for term in terms) else "m"
    return Term(" and ".join(term.text for term in terms), "name", gender=gender, is_plural=True)


def lay_out(pieces: list[str]) -> str:
    """Join narrative sentences into paragraphs, and put each speech on its own line; ``//`` starts a new line."""
    parts = [part.strip() for piece in pieces for part in piece.split("//")]
    breaks = [place > 0 for piece in pieces for place in range(piece.count("//") + 1)]
    lines = [""]
    is_after_speech = False
    for part, is_broken in zip(capitalise("\n".join(parts)).split("\n"), breaks, strict=True):
        is_speech = part.startswith(SPEECH_MARKS)
        if is_broken or is_speech or is_after_speech:
            lines.append(part)
        else:
            lines[-1] = f"{lines[-1]} {part}".strip()
        is_after_speech = is_speech
    return "\n".join(line for line in lines if line)


def capitalise(text: str) -> str:
    """Begin every line and sentence with a capital letter."""
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)
