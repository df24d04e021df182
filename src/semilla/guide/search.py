"""Find a place of the guide by its name, or by the words a reader has for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from semilla.guide.chapters import DocumentSection, Part
from semilla.guide.documentation import TROUBLESHOOTING, TrainingDocumentation
from semilla.guide.troubleshooting import TroubleshootingEntry

_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are at be by can do does for from how i in is it my not of on or the to too what why",
    )
)


@dataclass(frozen=True)
class Term:
    """A word of the glossary, and the chapter that explains it first, if one does."""

    name: str
    definition: str
    taught_in: str | None


Place: TypeAlias = TroubleshootingEntry | DocumentSection | Part | Term


def look_up(guide: TrainingDocumentation, words: list[str]) -> list[Place]:
    """Return what the words name, or else what they are about, best first; empty when nothing is known of them."""
    named = find_named(guide, " ".join(words))
    found = [place for place in search(guide, words) if place != named]
    return [named, *found] if named else found


def find_named(guide: TrainingDocumentation, name: str) -> Place | None:
    """Find the entry of a topic, the chapter or part with an id, or a term; spaces, ``-`` and ``_`` are alike."""
    names = {_simplify(name_place(place)): place for place in reversed(list(list_places(guide)))}
    return names.get(_simplify(name))


def search(guide: TrainingDocumentation, words: list[str]) -> list[Place]:
    """Find entries, parts and terms by words, best first; where two are alike, an entry goes before a part.

    Chapters are found by their parts, and those of the troubleshooting chapter by their entries.
    """
    wanted = _list_words(" ".join(words))
    covered = {place for place in guide.walk() if isinstance(place, DocumentSection) or _holds_entries(place)}
    places = [place for place in list_places(guide) if place not in covered]
    scores = [_score(place, wanted) for place in places]
    ranked = sorted(zip(scores, range(len(places)), strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [places[index] for score, index in ranked if score > 0]


def list_places(guide: TrainingDocumentation) -> Iterator[Place]:
    """All that can be looked up: entries first, then chapters and parts, then terms."""
    yield from guide.troubleshooting_guide
    yield from guide.walk()
    taught = {term: section.section_id for section in guide.sections for term in section.teaches}
    yield from (Term(name, text, taught.get(name)) for name, text in guide.glossary.items())


def name_place(place: Place) -> str:
    """What follows ``semilla guide`` to get there."""
    if isinstance(place, TroubleshootingEntry):
        return place.topic
    return place.name if isinstance(place, Term) else place.section_id


def title_place(place: Place) -> str:
    """A place in a few words."""
    if isinstance(place, TroubleshootingEntry):
        return place.symptom
    return f"{place.definition.partition('. ')[0]}" if isinstance(place, Term) else place.title


def _holds_entries(part: Part) -> bool:
    return part.section_id.startswith(f"{TROUBLESHOOTING}#")


def _simplify(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())


def _list_words(text: str) -> set[str]:
    words = set(re.findall(r"\w+(?:\.\w+)*", text.lower().replace("_", " "))) - _STOP_WORDS
    # A plural, a past or a gerund finds its stem: "losses", "repeated", "decreasing".
    return {re.sub(r"(?:es|s|ed|ing|e)$", "", word) if len(word) > 4 else word for word in words}


def _score(place: Place, wanted: set[str]) -> int:
    """Count the words found; one in a heading or a sign weighs more than one in passing."""
    return sum(weight * len(wanted & _list_words(text)) for weight, text in _list_texts(place))


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
