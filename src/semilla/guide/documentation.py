"""TrainingDocumentation of the specification, read from the Markdown chapters that are installed.

A chapter is a ``DocumentSection``; its ``## headings`` divide it into parts. An id is a chapter's (``tokenization``) or
a part's (``tokenization#why-pieces``: the chapter, and the heading as links to it are written).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from semilla.errors import IntegrityError
from semilla.guide import find_chapters
from semilla.guide.chapters import DocumentSection, Part, parse_chapter
from semilla.guide.troubleshooting import TroubleshootingEntry, parse_entries

IDS = (
    "overview", "tokenization", "model_initialization", "data_preparation", "training_loop", "optimization",
    "evaluation_and_checkpoints", "troubleshooting", "hyperparameters", "device",
)  # fmt: skip
"""The chapters, in the order in which they are taught."""
TROUBLESHOOTING = "troubleshooting"
OTHER_PAGES = {"README.md": "contents", "glossary.md": "glossary"}
"""Pages of the guide that are no chapter, and the ids that links to them lead to."""
_TERM = re.compile(r"^\*\*(?P<term>[^*]+)\*\*: (?P<definition>.+?)(?=\n\n|\n*\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class TrainingDocumentation:
    """The whole guide. ``cross_references`` leads from a link, as ``02-tokenization.md#why-pieces``, to an id."""

    sections: tuple[DocumentSection, ...]
    cross_references: dict[str, str]
    glossary: dict[str, str]
    troubleshooting_guide: tuple[TroubleshootingEntry, ...]

    def get(self, section_id: str) -> DocumentSection | Part | None:
        """Find a chapter or a part by its id."""
        return self.by_id.get(section_id)

    @property
    def by_id(self) -> dict[str, DocumentSection | Part]:
        return {place.section_id: place for place in self.walk()}

    def walk(self) -> Iterator[DocumentSection | Part]:
        """Every chapter, each followed by its parts."""
        for section in self.sections:
            yield section
            yield from section.parts


@cache
def load_documentation() -> TrainingDocumentation:
    """Read the guide that is installed; raises IntegrityError where a page breaks the guide's own rules."""
    return read_documentation(find_chapters())


def read_documentation(folder: Path) -> TrainingDocumentation:
    """Read the guide in a folder: the numbered chapters in order, the glossary, and all links between them."""
    paths = sorted(folder.glob("[0-9][0-9]-*.md"))
    sections = tuple(parse_chapter(_read(path), file_name=path.name) for path in paths)
    entries = [parse_entries(one.content) for one in sections if one.section_id == TROUBLESHOOTING]
    glossary = folder / "glossary.md"
    return TrainingDocumentation(
        sections=sections,
        cross_references=_resolve_links(sections),
        glossary=parse_glossary(_read(glossary)) if glossary.is_file() else {},
        troubleshooting_guide=entries[0] if entries else (),
    )


def parse_glossary(markdown: str) -> dict[str, str]:
    """Read ``**term**: definition.`` paragraphs, lines joined; raises IntegrityError for a term defined twice."""
    found = [(match["term"], " ".join(match["definition"].split())) for match in _TERM.finditer(markdown)]
    if len(found) != len(dict(found)):
        raise IntegrityError("the guide's glossary defines a term twice")
    return dict(found)


def describe(documentation: TrainingDocumentation) -> dict[str, Any]:
    """The guide in figures: how much there is of each kind."""
    sections = documentation.sections
    return {
        "chapters": len(sections),
        "lines": sum(len(section.content.splitlines()) for section in sections),
        "diagrams": sum(len(section.diagrams) for section in sections),
        "code_examples": sum(len(section.code_examples) for section in sections),
        "tables": sum(section.num_tables for section in sections),
        "cross_references": len(documentation.cross_references),
        "terms": len(documentation.glossary),
        "entries": len(documentation.troubleshooting_guide),
    }


def _resolve_links(sections: tuple[DocumentSection, ...]) -> dict[str, str]:
    places = dict(OTHER_PAGES)
    for section in sections:
        places |= {section.file_name: section.section_id}
        places |= {
            f"{section.file_name}#{anchor}": f"{section.section_id}#{anchor}" for anchor in section.anchors
        }
    links = {link for section in sections for link in section.links}
    broken = sorted(links - places.keys())
    if broken:
        raise IntegrityError(f"links of the guide lead nowhere: {', '.join(broken)}")
    return {link: places[link] for link in sorted(links)}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
