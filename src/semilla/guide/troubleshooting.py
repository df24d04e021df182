"""Parses the troubleshooting chapter into entries: symptom, causes, solutions, related chapters.

Every entry of ``08-troubleshooting.md`` has exactly this form, with all four items in this order::

    ### topic: symptom in a few words

    - **Symptom**: what is seen
    - **Causes**: …
    - **Solutions**: …
    - **Related**: [training_loop](05-training-loop.md), …
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from semilla.errors import IntegrityError

HEADINGS = ("Symptom", "Causes", "Solutions", "Related")
_ENTRY = re.compile(r"^### (?P<topic>[a-z0-9_]+): (?P<symptom>.+)$", re.MULTILINE)
_ITEM = re.compile(r"^- \*\*(?P<name>\w+)\*\*: (?P<text>.+)$")
_LINK = re.compile(r"\[(\w+)\]\([^)]*\)")


@dataclass(frozen=True)
class TroubleshootingEntry:
    """A problem. ``topic`` is that of an error or a warning; ``related_sections`` are section ids."""

    topic: str
    symptom: str
    signs: tuple[str, ...]
    possible_causes: tuple[str, ...]
    solutions: tuple[str, ...]
    related_sections: tuple[str, ...]

    @property
    def sections(self) -> dict[str, tuple[str, ...]]:
        lists = (self.signs, self.possible_causes, self.solutions, self.related_sections)
        return dict(zip(HEADINGS, lists, strict=True))


def parse_entries(markdown: str) -> tuple[TroubleshootingEntry, ...]:
    """Parse every entry; IntegrityError if one does not have exactly the four items."""
    matches = list(_ENTRY.finditer(markdown))
    ends = [match.start() for match in matches[1:]] + [len(markdown)]
    return tuple(
        _parse_entry(match["topic"], match["symptom"], markdown[match.end() : end])
        for match, end in zip(matches, ends, strict=True)
    )


def _parse_entry(topic: str, symptom: str, body: str) -> TroubleshootingEntry:
    items: dict[str, str] = {}
    for line in body.splitlines():
        item = _ITEM.match(line)
        if item:
            items[item["name"]] = item["text"].strip()
        elif line.startswith("#"):
            break
        elif line.strip() and items:
            items[list(items)[-1]] += f" {line.strip()}"
    if tuple(items) != HEADINGS:
        raise IntegrityError(
            f"the guide's entry {topic!r} needs the items {', '.join(HEADINGS)}, in this order"
        )
    related = tuple(_LINK.findall(items["Related"]))
    signs, causes, solutions = ((items[name],) for name in HEADINGS[:3])
    return TroubleshootingEntry(topic, symptom.strip(), signs, causes, solutions, related)
