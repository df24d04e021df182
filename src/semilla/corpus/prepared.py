"""From the documents of a file to clean ones, ready to be written to the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.cleaning.clean import CleanText, clean_text
from semilla.corpus.cleaning.layout import describe_layout
from semilla.corpus.cleaning.repair import Repaired, repair_text
from semilla.corpus.formats.encodings import find_better_encoding
from semilla.corpus.formats.extracted import LONE_SURROGATES, Extracted, ReadOptions
from semilla.corpus.formats.plain_text import UndecodableError
from semilla.corpus.formats.reading import FileText
from semilla.corpus.manifest import Provenance
from semilla.corpus.personal_data import count_personal_data
from semilla.corpus.remarks import Remarks
from semilla.corpus.traits import TextTraits, measure_text
from semilla.errors import InvalidCorpusError

if TYPE_CHECKING:  # a process that cleans text does without what downloads it
    from semilla.corpus.fetching.downloads import Download


@dataclass
class PreparedDocument:
    """A clean text, ready to be written to the corpus. It ends in one line break."""

    title: str
    text: str
    provenance: Provenance
    parts: tuple[str, ...] = ()
    """The documents of a text of many; together they are ``text``. Empty when the text is one document."""
    groups: tuple[str, ...] = ()
    """For each part, the name of its group: a group is held out together."""
    author: str | None = None
    language: str | None = None
    """None: detect it."""
    layout: str | None = None
    weight: int = 1
    """How often an epoch sees it."""
    expected_sha256: str | None = None
    removed: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """For the manifest only: facts that need no attention."""
    traits: TextTraits | None = None
    """None: not measured yet."""

    def measure(self, *, finds_paragraphs: bool, compares_similar: bool) -> TextTraits:
        """The traits of the text, which are measured once."""
        self.traits = self.traits or measure_text(
            self.text, self.parts, finds_paragraphs=finds_paragraphs, compares_similar=compares_similar
        )
        return self.traits


def make_options(config: PipelineConfiguration) -> ReadOptions:
    """What the configuration says about files."""
    return ReadOptions(config.corpus_encoding, config.text_column, config.title_column)


def advise_encoding(error: UndecodableError, config: PipelineConfiguration) -> UndecodableError:
    """Add the command that reads the file in the likely encoding."""
    if error.guess:
        error.next_command = to_command(config, corpus_encoding=error.guess)
    return error


def describe_download(download: Download, *, book_id: int | None = None) -> Provenance:
    """Where a downloaded file came from."""
    return Provenance(
        source=download.url,
        book_id=book_id,
        mirror=download.mirror,
        attempts=download.attempts,
        file_sha256=download.sha256,
        file_bytes=download.size_bytes,
    )


def describe(
    clean: CleanText, *, title: str, origin: Provenance, layout: str | None = None
) -> PreparedDocument:
    """Describe a clean text that is one document. ``layout`` is what was asked for; None: describe its lines."""
    is_unmarked = clean.markers == "none" and not clean.warnings
    return PreparedDocument(
        title=clean.title or title,
        text=clean.text,
        provenance=origin.model_copy(update={"encoding": clean.encoding, "markers": clean.markers}),
        author=clean.author,
        layout=layout or describe_layout(clean.text, clean.replaced),
        removed=clean.removed,
        replaced=clean.replaced,
        warnings=list(clean.warnings),
        remarks=["no Project Gutenberg markers: kept whole"] if is_unmarked else [],
    )


def prepare_file(
    found: FileText, config: PipelineConfiguration, *, remarks: Remarks, origin: Provenance | None = None
) -> PreparedDocument | None:
    """Clean the documents of a file; several become the parts of one text. None: no text is left."""
    origin = origin or Provenance(
        source=found.name, file_sha256=found.sha256, file_bytes=found.size_bytes, format=found.format
    )
    tried = ((one, _clean(one, config, name=found.name, remarks=remarks)) for one in found.documents)
    cleaned = [(one, clean) for one, clean in tried if clean]
    if not cleaned:
        return None
    first, clean = cleaned[0]
    if len(cleaned) == 1:
        remarks.add(clean, name=found.name)
    remarks.add_lone_surrogates(
        sum(one.replaced.get(LONE_SURROGATES, 0) for one, _ in cleaned), name=found.name
    )
    asked = _find_asked_layout(first, config)
    document = describe(clean, title=first.title or found.title, origin=origin, layout=asked)
    remarks.add_notes(document.note for document in found.documents)
    for _, one in cleaned:
        remarks.add_personal_data(count_personal_data(one.text), name=found.name)
    document.author, document.language = clean.author or first.author, first.language
    document.removed = dict(Counter(first.removed) + Counter(clean.removed))
    document.replaced = dict(Counter(first.replaced) + Counter(clean.replaced))
    if len(cleaned) > 1:
        document = _join(cleaned, document, title=found.title, layout=asked)
    document.warnings += _doubt_encoding(found)
    return document


def _doubt_encoding(found: FileText) -> list[str]:
    """Warn about a file whose encoding was declared or given, and that another fits better."""
    encoding = found.documents[0].encoding
    if encoding.startswith("utf"):
        return []
    guess = find_better_encoding("\n".join(document.text for document in found.documents), encoding)
    if guess is None:
        return []
    return [
        f"{found.name} was read as {encoding}, but in {guess.encoding} it reads: {guess.line} - if that is right, "
        f"save it as UTF-8, or give --corpus-encoding {guess.encoding} if the file declares nothing"
    ]


def _find_asked_layout(document: Extracted, config: PipelineConfiguration) -> str | None:
    """The layout that the user asked for, or that code has."""
    if config.layout != "auto":
        return config.layout
    return document.layout if document.layout == "verbatim" else None


def _clean(
    document: Extracted, config: PipelineConfiguration, *, name: str, remarks: Remarks
) -> CleanText | None:
    if not document.text.strip():
        return None
    repaired = repair_text(document.text) if config.repair else Repaired(document.text)
    layout = config.layout if config.layout != "auto" else document.layout
    try:
        clean = clean_text(repaired.text, name=name, encoding=document.encoding, layout=layout)
    except InvalidCorpusError:
        return None
    remarks.add_repair(repaired, name=name)
    return clean


def _join(
    cleaned: Sequence[tuple[Extracted, CleanText]],
    first: PreparedDocument,
    *,
    title: str,
    layout: str | None,
) -> PreparedDocument:
    """Make one text of many documents, with a blank line between them."""
    *firsts, last = (clean.text for _, clean in cleaned)
    parts = (*(f"{text}\n" for text in firsts), last)
    removed, replaced = Counter[str](), Counter[str]()
    for document, clean in cleaned:
        removed.update(document.removed)
        removed.update(clean.removed)
        replaced.update(document.replaced)
        replaced.update(clean.replaced)
    languages = {document.language for document, _ in cleaned}
    return PreparedDocument(
        title=title,
        text="".join(parts),
        parts=parts,
        provenance=first.provenance,
        language=next(iter(languages)) if len(languages) == 1 else None,
        layout=layout or describe_layout("".join(parts), replaced),
        removed=dict(removed),
        replaced=dict(replaced),
        warnings=list(dict.fromkeys(warning for _, clean in cleaned for warning in clean.warnings)),
        remarks=first.remarks,
    )
