"""Finds a place of the guide by its name, or by the words of a question.

Places are ranked with BM25F (Robertson & Zaragoza 2009, https://doi.org/10.1561/1500000019): a word counts the more the
fewer places have it, and the more important the field that has it; many repetitions of one word count little more than
one. A fuzzy string matcher would not know where a word stands.

People name one problem in many ways. So ``wordings.toml`` has questions for each place. A question is compared with
each of them by the cosine of their words, and the closest add to the score of their place: words that stand together
in one wording say more than the same words scattered over a page.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from semilla.guide.chapters import DocumentSection, Part
from semilla.guide.documentation import TROUBLESHOOTING, TrainingDocumentation
from semilla.guide.troubleshooting import TroubleshootingEntry
from semilla.guide.words import list_words

SATURATION = 1.2
"""How soon further occurrences of a word stop counting: ``k1`` of BM25, in the middle of its usual range."""
LENGTH_SHARE = 0.5
"""How much a long text is discounted: ``b`` of BM25."""
MEAN_LENGTH = 120
"""Words of a text that is neither discounted nor favoured."""
PAIR_WEIGHT = 0.5
"""What two neighbouring words of the question add where they are neighbours too, as a share of their own score."""
WORDINGS_WEIGHT = 1
"""The weight of the field of all wordings; those of the others are in ``_list_texts``."""
BEST_WORDINGS = 3
"""How many wordings of a place count. The second counts half of the first, and so on."""

CLEAR_LEAD = 1.25
"""How many times the score of the second place the first must have, not to be doubtful. Of 80 questions that were not
looked at before, the first place was right for 16 of the 46 below it, and for 25 of the 34 others."""


@dataclass(frozen=True)
class Term:
    """A term of the glossary, and the chapter that explains it first, if any."""

    name: str
    definition: str
    taught_in: str | None


Place: TypeAlias = TroubleshootingEntry | DocumentSection | Part | Term


Weights: TypeAlias = Mapping[str, float]
"""Words, and pairs of neighbouring words with a space between them -> how much each weighs."""


@dataclass(frozen=True)
class _Index:
    """The places that are searched; for each its words and its wordings, weighed; and how rare each word is."""

    places: tuple[Place, ...]
    weights: tuple[Weights, ...]
    wordings: tuple[tuple[Weights, ...], ...]
    rarity: Weights


@dataclass(frozen=True)
class Answer:
    """The places that answer a question, best first; doubtful where no name decides and the first is hardly ahead."""

    places: list[Place]
    is_doubtful: bool


def look_up(guide: TrainingDocumentation, words: list[str]) -> Answer:
    """Find the place that the words name, then the places that contain them.

    With equal scores, entries come before parts. Chapters are represented by their parts, the troubleshooting chapter
    by its entries, the glossary by its terms.
    """
    named = find_named(guide, " ".join(words))
    index, scores = _rate_places(guide, words)
    ranked = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    found = [index.places[place] for place in ranked if scores[place] > 0 and index.places[place] != named]
    if named:
        return Answer([named, *found], is_doubtful=False)
    first, second = heapq.nlargest(2, [*scores, 0.0, 0.0])
    return Answer(found, is_doubtful=first < CLEAR_LEAD * second)


def find_named(guide: TrainingDocumentation, name: str) -> Place | None:
    """Find an entry by topic, a chapter, part or page by id, or a term. Spaces, ``-`` and ``_`` are equal."""
    names = {_simplify(name_place(place)): place for place in reversed(list(list_places(guide)))}
    return names.get(_simplify(name))


def list_places(guide: TrainingDocumentation) -> Iterator[Place]:
    """Yield all places: entries, then chapters and parts, then terms, then the other pages and their parts."""
    yield from guide.troubleshooting_guide
    yield from guide.walk()
    taught = {term: section.section_id for section in guide.sections for term in section.teaches}
    yield from (Term(name, text, taught.get(name)) for name, text in guide.glossary.items())
    yield from guide.pages


def name_place(place: Place) -> str:
    """The name of a place, as ``semilla guide`` takes it."""
    if isinstance(place, TroubleshootingEntry):
        return place.topic
    return place.name if isinstance(place, Term) else place.section_id


def title_place(place: Place) -> str:
    """A short description of a place."""
    if isinstance(place, TroubleshootingEntry):
        return place.symptom
    return place.definition.partition(". ")[0] if isinstance(place, Term) else place.title


def _is_represented(part: Part) -> bool:
    return part.section_id.startswith((f"{TROUBLESHOOTING}#", "glossary", "contents"))


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())


@lru_cache(maxsize=2)
def _index_places(places: tuple[Place, ...], wordings: tuple[tuple[str, ...], ...]) -> _Index:
    weights = tuple(_weigh_words(place, lines) for place, lines in zip(places, wordings, strict=True))
    listed = [
        [list_words(line) for line in (title_place(place), *lines)]
        for place, lines in zip(places, wordings, strict=True)
    ]
    rarity = _measure_rarity([{*words, *_pair(words)} for lines in listed for words in lines])
    weighed = (tuple(_weigh_wording(words, rarity) for words in lines if words) for lines in listed)
    return _Index(places, weights, tuple(weighed), _measure_rarity(weights))


def _measure_rarity(collections: Collection[Iterable[str]]) -> Weights:
    """How rare each word is among collections of words: the inverse document frequency of BM25."""
    counts = Counter(word for words in collections for word in words)
    total = len(collections)
    return {
        word: (PAIR_WEIGHT if " " in word else 1) * math.log(1 + (total - count + 0.5) / (count + 0.5))
        for word, count in counts.items()
    }


def _build_index(guide: TrainingDocumentation) -> _Index:
    """Index the places that are searched. Of two with one name, an entry and a term, the first is."""
    whole = {page.section_id.partition("#")[0] for page in guide.pages if "#" in page.section_id}
    places = {
        name_place(place): place
        for place in reversed(list(list_places(guide)))
        if not isinstance(place, DocumentSection)
        and not (isinstance(place, Part) and (_is_represented(place) or place.section_id in whole))
    }
    names = tuple(reversed(places))
    return _index_places(
        tuple(places[name] for name in names), tuple(guide.wordings.get(name, ()) for name in names)
    )


def _weigh_words(place: Place, wordings: tuple[str, ...]) -> Weights:
    """The weight of each word, and of each pair of neighbours, in all fields of a place together."""
    weights: dict[str, float] = {}
    for field, text in [*_list_texts(place), (WORDINGS_WEIGHT, " ".join(wordings))]:
        words = list_words(text)
        discount = 1 - LENGTH_SHARE + LENGTH_SHARE * max(1.0, len(words) / MEAN_LENGTH)
        for word in [*words, *_pair(words)]:
            weights[word] = weights.get(word, 0) + field / discount
    return weights


def _weigh_wording(words: list[str], rarity: Weights) -> Weights:
    """What each word of a wording adds to the product of the wording, scaled to length one, and a question."""
    weights = {word: rarity[word] for word in [*words, *_pair(words)]}
    length = math.hypot(*weights.values())
    return {word: weight**2 / length for word, weight in weights.items()}


def _pair(words: list[str]) -> list[str]:
    return [f"{first} {second}" for first, second in pairwise(words)]


def _rate_places(guide: TrainingDocumentation, words: list[str]) -> tuple[_Index, list[float]]:
    """The places that are searched, and the score of each for the words of a question."""
    listed = list_words(" ".join(words))
    query = dict.fromkeys([*listed, *_pair(listed)])
    index = _build_index(guide)
    rated = zip(index.weights, index.wordings, strict=True)
    return index, [_score(weights, query, index.rarity) + _compare(lines, query) for weights, lines in rated]


def _score(weights: Weights, query: Collection[str], rarity: Weights) -> float:
    """BM25F of a place for the words of a question."""
    found = {word: weights[word] for word in query if word in weights}
    return sum(rarity[word] * weight / (SATURATION + weight) for word, weight in found.items())


def _compare(wordings: tuple[Weights, ...], query: Collection[str]) -> float:
    """How close the closest wordings of a place are to a question: their cosines, times the length of the question.

    This length is the same for all places, so it changes no order. It makes the sum commensurable with BM25F.
    """
    products = (sum(wording[word] for word in query if word in wording) for wording in wordings)
    best = sorted(products, reverse=True)[:BEST_WORDINGS]
    return sum(0.5**rank * product for rank, product in enumerate(best))


def _list_texts(place: Place) -> list[tuple[float, str]]:
    match place:
        case TroubleshootingEntry():
            rest = [*place.possible_causes, *place.solutions]
            return [
                (3, f"{place.topic} {place.symptom}"),
                (1.5, " ".join(place.signs)),
                (0.5, " ".join(rest)),
            ]
        case Term():
            return [(2, place.name), (0.4, place.definition)]
        case _:
            return [(2, place.title), (0.4, place.content)]
