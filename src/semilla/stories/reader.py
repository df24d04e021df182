"""Reads a story, and says what does not fit together in it.

The reader finds the plot that explains most of the text, then follows the facts from sentence to sentence: who and what
it is about, where, and which step of the plot comes next. It understands what the generator can tell and nothing else,
so that it finds every other sentence ill-formed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from semilla.stories.plots import Character, Plot
from semilla.stories.sentences import (
    Facts,
    Meaning,
    PlotGrammar,
    Sentence,
    find_gender,
    join_facts,
    load_grammars,
    split_sentences,
)
from semilla.stories.terms import LANGUAGES, Language

KINDS = {
    "invented word": "a word that no story has",
    "not a sentence": "a sentence that the grammar cannot make",
    "other language": "a sentence in the other language",
    "other story": "a sentence of another plot",
    "name": "a name that was not introduced, or somebody called by another name",
    "gender": "a pronoun or kind that does not fit the name",
    "object": "another object than before",
    "look": "another colour or look than before",
    "place": "another place than before",
    "fact": "another fact than before",
    "order": "a step of the plot out of order, repeated or left out",
    "ending": "no ending",
}
"""Kind of contradiction -> what it means."""

_QUERY_KINDS = {"colour": "look", "look": "look", "place": "place", "spot": "place"}
_JOINED_WORDS: Mapping[Language, frozenset[str]] = {
    "en": frozenset({"an"}),
    "es": frozenset({"del", "al", "e", "u"}),
}
"""Words that only ``finish`` writes."""
_PLOTS_TRIED = 3
_READINGS_KEPT = 12
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Contradiction:
    kind: str
    sentence: str


@dataclass(frozen=True)
class Reading:
    """A story as understood: its plot (empty when no sentence is of any) and its contradictions."""

    plot: str
    num_sentences: int
    contradictions: tuple[Contradiction, ...]

    @property
    def is_coherent(self) -> bool:
        return not self.contradictions


@dataclass(frozen=True)
class _State:
    """How far a reading has come: the last sentence's place in the plot, the facts, and what was wrong so far."""

    beat: int = -1
    place: int = -1
    is_complete: bool = True
    is_lost: bool = False
    """After a sentence that is in no story, any later step may follow."""
    facts: Facts = field(default_factory=dict)
    wrong: tuple[Contradiction, ...] = ()


def read_story(text: str, language: Language) -> Reading:
    """Read a story from its beginning to its end."""
    sentences = split_sentences(text)
    by_plot = _find_meanings(sentences, language)
    if not by_plot:
        wrong = tuple(Contradiction(_explain(one, language, None), one) for one in sentences)
        return Reading("", len(sentences), wrong or (Contradiction("ending", ""),))
    readings = [
        _PathReader(grammar, path).read(sentences, meanings)
        for grammar, meanings in by_plot
        for path in grammar.plot.paths
    ]
    return min(readings, key=lambda reading: len(reading.contradictions))


def _find_meanings(
    sentences: Sequence[str], language: Language
) -> list[tuple[PlotGrammar, list[list[Meaning]]]]:
    """The plots that explain most sentences, with the meanings of each sentence."""
    found = [(grammar, [grammar.read(one) for one in sentences]) for grammar in load_grammars(language)]
    found = [(grammar, meanings) for grammar, meanings in found if any(meanings)]
    found.sort(key=lambda one: -sum(map(bool, one[1])))
    return found[:_PLOTS_TRIED]


class _PathReader:
    """Follows the facts along one path of a plot."""

    def __init__(self, grammar: PlotGrammar, path: str) -> None:
        self.plot = grammar.plot
        self.language = grammar.language
        self.genders = _map_genders(grammar)
        beats = self.plot.beats
        self.steps = [step for step, beat in enumerate(beats) if not beat.paths or path in beat.paths]
        self.required = [step for step in self.steps if beats[step].chance == 1]

    def read(self, sentences: Sequence[str], meanings: Sequence[Sequence[Meaning]]) -> Reading:
        """Of several ways to read the sentences, the one with the fewest contradictions."""
        states = [_State()]
        for sentence, possible in zip(sentences, meanings, strict=True):
            here = [meaning for meaning in possible if meaning.sentence.beat in self.steps]
            if here:
                following = [self._advance(state, sentence, meaning) for state in states for meaning in here]
            else:
                kind = "other story" if possible else _explain(sentence, self.language, self.plot)
                wrong = Contradiction(kind, sentence)
                following = [replace(state, is_lost=True, wrong=(*state.wrong, wrong)) for state in states]
            states = sorted(following, key=lambda state: len(state.wrong))[:_READINGS_KEPT]
        finished = [self._finish(state, last=sentences[-1]) for state in states]
        best = min(finished, key=lambda state: len(state.wrong))
        return Reading(self.plot.key, len(sentences), best.wrong)

    def _advance(self, state: _State, sentence: str, meaning: Meaning) -> _State:
        one, wrong = meaning.sentence, state.wrong
        if not self._is_next(state, one):
            wrong = (*wrong, Contradiction("order", sentence))
        facts, conflict = self._merge(state.facts, meaning.facts)
        if conflict:
            wrong = (*wrong, Contradiction(_name_conflict(conflict, self.plot), sentence))
        return _State(one.beat, one.place, one.is_last, facts=facts, wrong=wrong)

    def _is_next(self, state: _State, one: Sentence) -> bool:
        """Whether a sentence continues its line, or begins the next step after a complete one."""
        if state.is_lost:
            return one.beat >= state.beat
        if one.beat == state.beat:
            return one.place == state.place + 1
        is_step_missing = any(state.beat < step < one.beat for step in self.required)
        return one.beat > state.beat and one.place == 0 and state.is_complete and not is_step_missing

    def _merge(self, facts: Facts, others: Facts) -> tuple[Facts, str]:
        """What both leave possible, and the fact about which they disagree; it is then what ``others`` say."""
        joined = join_facts(facts, others)
        for aspect, gender_of in self.genders.items():
            gender = f"{aspect.partition('.')[0]}.gender"
            possible = frozenset(gender_of[value] for value in joined.get(aspect, gender_of))
            joined[gender] = joined.get(gender, possible) & possible
        conflict = next((fact for fact in (*others, *joined) if not joined[fact]), "")
        if conflict:
            base = conflict.partition(".")[0]
            kept = {fact: values for fact, values in facts.items() if fact.partition(".")[0] != base}
            joined = {**kept, **others}
        return joined, conflict

    def _finish(self, state: _State, *, last: str) -> _State:
        is_finished = state.is_complete or state.is_lost
        if is_finished and not any(step > state.beat for step in self.required):
            return state
        return replace(state, wrong=(*state.wrong, Contradiction("ending", last)))


@cache
def _map_genders(grammar: PlotGrammar) -> Mapping[str, Mapping[str, str]]:
    """``hero.name`` and ``hero.kind`` -> gender by value, for every character."""
    found: dict[str, dict[str, str]] = {}
    for name in grammar.plot.cast:
        for one in grammar.domains[name]:
            assert isinstance(one, Character)
            found.setdefault(f"{name}.name", {})[one.name.key] = find_gender(one)
            found.setdefault(f"{name}.kind", {})[one.kind.key] = find_gender(one)
    return found


def _name_conflict(fact: str, plot: Plot) -> str:
    base, _, aspect = fact.partition(".")
    if aspect:
        return "name" if aspect == "name" else "gender"
    if base == plot.object_name:
        return "object"
    query = plot.facts.get(base, "")
    return next((kind for word, kind in _QUERY_KINDS.items() if query.startswith(word)), "fact")


def _explain(sentence: str, language: Language, plot: Plot | None) -> str:
    """Why no reading has this sentence."""
    if not list_known_words(language).issuperset(_WORD.findall(sentence.lower())):
        other = next(one for one in LANGUAGES if one != language)
        if any(grammar.read(sentence) for grammar in load_grammars(other)):
            return "other language"
        return "invented word"
    if any(grammar.plot is not plot and grammar.read(sentence) for grammar in load_grammars(language)):
        return "other story"
    return "not a sentence"


@cache
def list_known_words(language: Language) -> frozenset[str]:
    """Every word that a story can contain, in lower case."""
    texts = (text for grammar in load_grammars(language) for text in grammar.list_texts())
    return frozenset(word for text in texts for word in _WORD.findall(text.lower())) | _JOINED_WORDS[language]


def count_kinds(readings: Sequence[Reading]) -> dict[str, int]:
    """In how many stories each kind of contradiction occurs."""
    return dict(
        Counter(kind for reading in readings for kind in {one.kind for one in reading.contradictions})
    )


def list_examples(readings: Sequence[Reading]) -> Iterator[tuple[str, str]]:
    """One example of each kind of contradiction."""
    seen: set[str] = set()
    for reading in readings:
        for one in reading.contradictions:
            if one.kind not in seen:
                seen.add(one.kind)
                yield one.kind, one.sentence
