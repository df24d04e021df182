"""The troubleshooting chapter as entries: symptom, causes, solutions, where to read more.

An entry of ``08-troubleshooting.md`` has this shape, and no other is accepted::

    ### topic: symptom in a few words

    **Symptom**

    - what is seen

    **Causes** …  **Solutions** …  **Related** …  (lists, all four present and in this order)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from semilla.errors import IntegrityError
from semilla.guide import find_chapters

HEADINGS = ("Symptom", "Causes", "Solutions", "Related")
_ENTRY = re.compile(r"^### (?P<topic>[a-z0-9_]+): (?P<symptom>.+)$", re.MULTILINE)
_HEADING = re.compile(r"^\*\*(\w+)\*\*$")
_STOP_WORDS = {"an", "and", "at", "in", "is", "it", "my", "not", "of", "on", "or", "the", "to", "too", "what"}


@dataclass(frozen=True)
class TroubleshootingEntry:
    """One problem; ``topic`` is an error category or a warning's, ``related_sections`` are section ids."""

    topic: str
    symptom: str
    signs: tuple[str, ...]
    possible_causes: tuple[str, ...]
    solutions: tuple[str, ...]
    related_sections: tuple[str, ...]

    @property
    def sections(self) -> dict[str, tuple[str, ...]]:
        """The lists by their headings."""
        lists = (self.signs, self.possible_causes, self.solutions, self.related_sections)
        return dict(zip(HEADINGS, lists, strict=True))


@cache
def load_entries() -> tuple[TroubleshootingEntry, ...]:
    """Read the entries of the guide that is installed."""
    return parse_entries((find_chapters() / "08-troubleshooting.md").read_text(encoding="utf-8"))


def parse_entries(markdown: str) -> tuple[TroubleshootingEntry, ...]:
    """Read every entry; raises IntegrityError for one that has not exactly the four lists."""
    matches = list(_ENTRY.finditer(markdown))
    ends = [match.start() for match in matches[1:]] + [len(markdown)]
    return tuple(
        _parse_entry(match["topic"], match["symptom"], markdown[match.end() : end])
        for match, end in zip(matches, ends, strict=True)
    )


def search_entries(
    entries: tuple[TroubleshootingEntry, ...], words: list[str]
) -> tuple[TroubleshootingEntry, ...]:
    """Find the entries for a topic or for words of a symptom, best first; empty when no word is known."""
    wanted = _list_words(" ".join(words))
    name = "_".join(words).lower().replace("-", "_")
    scores = {entry: _score(entry, wanted) + 1000 * (entry.topic == name) for entry in entries}
    found = sorted((entry for entry in entries if scores[entry] > 0), key=lambda entry: -scores[entry])
    return tuple(found)


def _parse_entry(topic: str, symptom: str, body: str) -> TroubleshootingEntry:
    lists: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in body.splitlines():
        heading = _HEADING.match(line)
        if heading:
            current = lists.setdefault(heading[1], [])
        elif line.startswith("#"):
            break
        elif line.startswith("- ") and current is not None:
            current.append(line[2:].strip())
        elif line.startswith("  ") and current:
            current[-1] += f" {line.strip()}"
    if tuple(lists) != HEADINGS or not all(lists.values()):
        raise IntegrityError(
            f"the guide's entry {topic!r} needs the lists {', '.join(HEADINGS)}, in this order"
        )
    return TroubleshootingEntry(topic, symptom.strip(), *(tuple(lists[heading]) for heading in HEADINGS))


def _list_words(text: str) -> set[str]:
    words = set(re.findall(r"[\w.]+", text.lower().replace("_", " "))) - _STOP_WORDS
    # A plural, a past or a gerund finds its stem: "losses", "repeated", "decreasing".
    return {re.sub(r"(?:es|s|ed|ing|e)$", "", word) if len(word) > 4 else word for word in words}


def _score(entry: TroubleshootingEntry, wanted: set[str]) -> int:
    """Count the words found; one in the heading or a sign weighs more than one in passing."""
    heading = _list_words(f"{entry.topic} {entry.symptom}")
    signs = _list_words(" ".join(entry.signs))
    rest = _list_words(" ".join([*entry.possible_causes, *entry.solutions]))
    return 5 * len(wanted & heading) + 3 * len(wanted & signs) + len(wanted & rest)
