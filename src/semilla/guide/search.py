"""Finds a place of the guide by its name, or by the words of a question.

The score of a place depends on where the words occur in it. A fuzzy string matcher would not know that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from semilla.guide.chapters import DocumentSection, Part
from semilla.guide.documentation import TROUBLESHOOTING, TrainingDocumentation
from semilla.guide.troubleshooting import TroubleshootingEntry

_STOP_WORDS = frozenset(
    "a an and are at be by can do does for from how i in is it my not of on or the to too what why".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Term:
    """A term of the glossary, and the chapter that explains it first, if any."""

    name: str
    definition: str
    taught_in: str | None


Place: TypeAlias = TroubleshootingEntry | DocumentSection | Part | Term


def look_up(guide: TrainingDocumentation, words: list[str]) -> list[Place]:
    """Return the place that the words name, then the places that contain them, best first."""
    named = find_named(guide, " ".join(words))
    found = [place for place in search(guide, words) if place != named]
    return [named, *found] if named else found


def find_named(guide: TrainingDocumentation, name: str) -> Place | None:
    """Find an entry by topic, a chapter or part by id, or a term. Spaces, ``-`` and ``_`` are equal."""
    names = {_simplify(name_place(place)): place for place in reversed(list(list_places(guide)))}
    return names.get(_simplify(name))


def search(guide: TrainingDocumentation, words: list[str]) -> list[Place]:
    """Find entries, parts and terms by words, best first; with equal scores, entries come before parts.

    Chapters are represented by their parts, and the troubleshooting chapter by its entries.
    """
    query = _list_words(" ".join(words))
    covered = {place for place in guide.walk() if isinstance(place, DocumentSection) or _holds_entries(place)}
    places = [place for place in list_places(guide) if place not in covered]
    scores = [_score(place, query) for place in places]
    ranked = sorted(zip(scores, range(len(places)), strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [places[index] for score, index in ranked if score > 0]


def list_places(guide: TrainingDocumentation) -> Iterator[Place]:
    """Yield all places: entries, then chapters and parts, then terms."""
    yield from guide.troubleshooting_guide
    yield from guide.walk()
    taught = {term: section.section_id for section in guide.sections for term in section.teaches}
    yield from (Term(name, text, taught.get(name)) for name, text in guide.glossary.items())


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


def _holds_entries(part: Part) -> bool:
    return part.section_id.startswith(f"{TROUBLESHOOTING}#")


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())


def _list_words(text: str) -> set[str]:
    words = set(re.findall(r"\w+(?:\.\w+)*", text.lower().replace("_", " "))) - _STOP_WORDS
    # Strip common endings: "losses", "repeated", "decreasing".
    return {re.sub(r"(?:es|s|ed|ing|e)$", "", word) if len(word) > 4 else word for word in words}


def _score(place: Place, query: set[str]) -> int:
    """Count the words of the query, weighted by where they occur."""
    return sum(weight * len(query & _list_words(text)) for weight, text in _list_texts(place))


def _list_texts(place: Place) -> list[tuple[int, str]]:
    match place:
        case TroubleshootingEntry():
            rest = [*place.possible_causes, *place.solutions]
            heading = f"{place.topic} {place.symptom}"
            return [(5, heading), (3, " ".join(place.signs)), (1, " ".join(rest))]
        case Term():
            return [(4, place.name), (1, place.definition)]
        case _:
            return [(4, place.title), (1, place.content)]
