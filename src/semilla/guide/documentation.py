"""TrainingDocumentation of the specification, read from the installed Markdown chapters.

A chapter is a ``DocumentSection``, and its ``##`` headings divide it into parts. An id names a chapter
(``tokenization``) or a part (``tokenization#why-pieces``: the chapter, and the anchor of the heading).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from semilla.errors import IntegrityError
from semilla.guide import find_chapters
from semilla.guide.chapters import DocumentSection, Part, make_anchor, parse_chapter
from semilla.guide.pages import find_pages, parse_page, read_pages
from semilla.guide.troubleshooting import TroubleshootingEntry, parse_entries

IDS = (
    "overview", "tokenization", "model_initialization", "data_preparation", "training_loop", "optimization",
    "evaluation_and_checkpoints", "troubleshooting", "hyperparameters", "device",
)  # fmt: skip
"""The chapters, in reading order."""
TROUBLESHOOTING = "troubleshooting"
APPENDICES = {
    "README.md": "contents",
    "glossary.md": "glossary",
    "problems.md": "problems",
    "solutions.md": "solutions",
}
"""Pages of the guide that are not chapters -> their ids."""
_TERM = re.compile(r"^\*\*(?P<term>[^*]+)\*\*: (?P<definition>.+?)(?=\n\n|\n*\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class TrainingDocumentation:
    """The whole guide. ``cross_references`` maps a link, such as ``02-tokenization.md#why-pieces``, to an id.

    ``pages`` are the appendices and the documentation outside the guide, each followed by its parts. ``wordings`` maps
    the name of a place to questions that it answers, as people put them.
    """

    sections: tuple[DocumentSection, ...]
    cross_references: dict[str, str]
    glossary: dict[str, str]
    troubleshooting_guide: tuple[TroubleshootingEntry, ...]
    pages: tuple[Part, ...] = ()
    wordings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, section_id: str) -> DocumentSection | Part | None:
        """Find a chapter or a part by its id."""
        return self.by_id.get(section_id)

    @property
    def by_id(self) -> dict[str, DocumentSection | Part]:
        return {place.section_id: place for place in self.walk()}

    @property
    def link_names(self) -> dict[str, str]:
        """Links of the chapters, also those to other pages -> the name of their target for ``semilla guide``."""
        entries = {
            f"{TROUBLESHOOTING}#{make_anchor(f'{entry.topic}: {entry.symptom}')}": entry.topic
            for entry in self.troubleshooting_guide
        }
        ids = (page.section_id for page in self.pages)
        pages = {
            f"../{page}.md{mark}{anchor}": id_ for id_ in ids for page, mark, anchor in [id_.partition("#")]
        }
        return pages | {link: entries.get(name, name) for link, name in self.cross_references.items()}

    def walk(self) -> Iterator[DocumentSection | Part]:
        """Yield every chapter, followed by its parts."""
        for section in self.sections:
            yield section
            yield from section.parts


@cache
def load_documentation() -> TrainingDocumentation:
    """Read the installed guide; IntegrityError if a page breaks the rules of the guide."""
    guide = read_documentation(find_chapters())
    return replace(guide, pages=(*guide.pages, *read_pages(find_pages())), wordings=read_wordings())


def read_documentation(folder: Path) -> TrainingDocumentation:
    """Read the guide in a folder: the numbered chapters, the glossary, and the links between them."""
    paths = sorted(folder.glob("[0-9][0-9]-*.md"))
    sections = tuple(parse_chapter(_read(path), file_name=path.name) for path in paths)
    entries = [parse_entries(one.content) for one in sections if one.section_id == TROUBLESHOOTING]
    glossary = folder / "glossary.md"
    appendices = tuple(
        part
        for file_name, name in APPENDICES.items()
        if (folder / file_name).is_file()
        for part in parse_page(_read(folder / file_name), name)
    )
    return TrainingDocumentation(
        sections=sections,
        cross_references=_resolve_links(sections, appendices),
        glossary=parse_glossary(_read(glossary)) if glossary.is_file() else {},
        troubleshooting_guide=entries[0] if entries else (),
        pages=appendices,
    )


def read_wordings() -> dict[str, tuple[str, ...]]:
    """Read the questions that each place answers: one wording a line."""
    text = (Path(__file__).parent / "wordings.toml").read_text(encoding="utf-8")
    return {name: tuple(lines.splitlines()) for name, lines in tomllib.loads(text).items()}


def parse_glossary(markdown: str) -> dict[str, str]:
    """Read paragraphs of the form ``**term**: definition.``; IntegrityError if a term is defined twice."""
    found = [(match["term"], " ".join(match["definition"].split())) for match in _TERM.finditer(markdown)]
    if len(found) != len(dict(found)):
        raise IntegrityError("the guide's glossary defines a term twice")
    return dict(found)


def describe(documentation: TrainingDocumentation) -> dict[str, Any]:
    """Count the elements of the guide."""
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


def _resolve_links(sections: tuple[DocumentSection, ...], appendices: tuple[Part, ...]) -> dict[str, str]:
    places = dict(APPENDICES)
    file_names = {name: file_name for file_name, name in APPENDICES.items()}
    for part in appendices:
        page, mark, anchor = part.section_id.partition("#")
        places[f"{file_names[page]}{mark}{anchor}"] = part.section_id
    for section in sections:
        places |= {section.file_name: section.section_id}
        places |= {
            f"{section.file_name}#{anchor}": f"{section.section_id}#{anchor}" for anchor in section.anchors
        }
    links = {link for section in sections for link in section.links}
    broken = sorted(links - places.keys())
    if broken:
        raise IntegrityError(f"the guide has broken links: {', '.join(broken)}")
    return {link: places[link] for link in sorted(links)}


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
