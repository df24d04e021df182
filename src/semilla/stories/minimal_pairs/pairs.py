"""Picks sentences of held-out stories and makes a mistake in each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from semilla.stories.minimal_pairs.english import list_english_mistakes
from semilla.stories.minimal_pairs.mistakes import Mistake
from semilla.stories.minimal_pairs.spanish import list_spanish_mistakes
from semilla.stories.plots import pick
from semilla.stories.stories import MAX_GRADE, tell_story
from semilla.stories.terms import Language

PAIRS_PER_PHENOMENON = 200
MAX_STORIES = 6_000
"""A rare phenomenon has fewer pairs: those found in this many stories."""
_WORDS = range(4, 26)
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[\"«¿¡]?[A-ZÁÉÍÓÚÑ])")


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """A sentence of a held-out story, and the same sentence with one mistake."""

    language: Language
    phenomenon: str
    right: str
    wrong: str


def make_pairs(
    language: Language,
    *,
    seed: int,
    grade: int = MAX_GRADE,
    per_phenomenon: int = PAIRS_PER_PHENOMENON,
    num_stories: int = MAX_STORIES,
    phenomena: Collection[str] | None = None,
    accept: Callable[[MinimalPair], bool] = lambda _: True,
    check: Callable[[], None] = lambda: None,
) -> list[MinimalPair]:
    """Make up to ``per_phenomenon`` pairs for every phenomenon of a language; the same seed gives the same pairs.

    They are sentences of the first ``num_stories`` held-out stories up to ``grade``. ``phenomena`` names those to make
    pairs for; None is all.

    For variety, a story gives a phenomenon at most one pair, and no sentence serves a phenomenon twice. Only pairs
    that ``accept`` accepts count. ``check`` is called before each story; what it raises ends the search.
    """
    mistakes = list_english_mistakes() if language == "en" else list_spanish_mistakes()
    if phenomena is not None:
        mistakes = {name: rules for name, rules in mistakes.items() if name in phenomena}
    found: dict[str, dict[str, MinimalPair]] = {phenomenon: {} for phenomenon in mistakes}
    spoiled: dict[str, dict[str, list[MinimalPair]]] = {}  # many sentences are in several stories
    for index in range(num_stories):
        check()
        missing = {name: rules for name, rules in mistakes.items() if len(found[name]) < per_phenomenon}
        if not missing:
            break
        story = tell_story(language, seed=seed, index=index, held_out=True, grade=grade)
        candidates: dict[str, list[MinimalPair]] = defaultdict(list)
        for sentence in split_sentences(story.text):
            if sentence not in spoiled:
                spoiled[sentence] = _spoil(sentence, missing, language=language)
            for phenomenon, pairs in spoiled[sentence].items():
                candidates[phenomenon] += pairs
        for phenomenon in missing:
            if candidates[phenomenon]:
                rng = Random(f"{seed}/{index}/{phenomenon}")  # noqa: S311
                pair = pick(rng, candidates[phenomenon])
                if accept(pair):
                    found[phenomenon].setdefault(pair.right, pair)
    return [pair for pairs in found.values() for pair in pairs.values()]


def split_sentences(text: str) -> Iterator[str]:
    """The sentences of 4 to 25 words in a story; text between quotation marks is not split."""
    for line in text.splitlines():
        sentence = ""
        for piece in _SENTENCE_END.split(line):
            sentence = f"{sentence} {piece}".strip()
            if sentence.count('"') % 2 == 0 and sentence.count("«") == sentence.count("»"):
                if len(sentence.split()) in _WORDS:
                    yield sentence
                sentence = ""


def _spoil(
    sentence: str, mistakes: Mapping[str, tuple[Mistake, ...]], *, language: Language
) -> dict[str, list[MinimalPair]]:
    """The pairs of a sentence, by the phenomena that it shows."""
    pairs = {
        phenomenon: [
            MinimalPair(language, phenomenon, sentence, wrong)
            for rule in rules
            for wrong in rule.make_twins(sentence)
        ]
        for phenomenon, rules in mistakes.items()
    }
    return {phenomenon: some for phenomenon, some in pairs.items() if some}
