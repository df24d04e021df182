"""The user's own files: read one after another, each cleaned, or left out with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.cleaning.repair import require_repair
from semilla.corpus.fetching.downloads import Download
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import UnreadableError
from semilla.corpus.formats.plain_text import UndecodableError
from semilla.corpus.formats.reading import LeftOut, read_file
from semilla.corpus.manifest import LeftOutFile, Provenance
from semilla.corpus.prepared import (
    PreparedDocument,
    advise_encoding,
    describe_download,
    make_options,
    prepare_file,
)
from semilla.corpus.remarks import Remarks
from semilla.corpus.sources import (
    STANDARD_INPUT,
    CorpusSource,
    describe_left_out,
    read_pieces,
    read_standard_input,
    read_text_file,
    survey_texts,
)
from semilla.errors import DependencyError, InvalidCorpusError, SemillaError
from semilla.events import Note, Progress, Warned
from semilla.records import names
from semilla.system import interrupts

FILES_PER_NOTE = 1000
"""Reading a thousand small files takes a few seconds."""


def read_local(
    config: PipelineConfiguration, source: CorpusSource, *, progress: Progress
) -> Iterator[PreparedDocument | LeftOutFile]:
    """Read the files of a local source. A file of a folder that gives no text is left out, and that is said.

    Raises InvalidCorpusError when nothing can be read, and UndecodableError for a text in an unknown encoding.
    """
    survey = survey_texts(source)
    files, passed_over = survey.files, survey.left_out
    yield from passed_over
    if passed_over:
        progress(Note(f"Left out of {source.value}: {describe_left_out(passed_over)}."))
    reading = _Reading(config, Remarks(), is_alone=source.kind in {"file", "stdin"})
    with ConfinedReader() as reader:
        if source.kind == "stdin":
            yield from reading.read(read_standard_input(), name=STANDARD_INPUT, reader=reader)
        for number, path in enumerate(files):
            if number and number % FILES_PER_NOTE == 0:
                progress(Note(f"{number:,} of {len(files):,} files are read."))
            yield from reading.read_path(path, name=str(path), reader=reader)
    reading.tell(progress)


def read_download(
    config: PipelineConfiguration,
    directory: Path,
    download: Download,
    *,
    source: CorpusSource,
    progress: Progress,
) -> Iterator[PreparedDocument | LeftOutFile]:
    """Read a downloaded file of any format; its address tells the format as a file's name does."""
    data = read_text_file(directory / download.file_name)
    reading = _Reading(config, Remarks(), is_alone=True, origin=describe_download(download))
    name = Path(urlsplit(source.shown).path).name or source.shown
    with ConfinedReader() as reader:
        for document in reading.read(data, name=name, reader=reader):
            if isinstance(document, PreparedDocument) and document.title == Path(name).stem:
                document.title = source.shown
            yield document
    reading.tell(progress)


def read_fetched(
    config: PipelineConfiguration, files: Iterable[tuple[str, Path, Provenance]], *, progress: Progress
) -> Iterator[PreparedDocument | LeftOutFile]:
    """Read files as they are fetched: the name, the place and the origin of each. Raises like ``read_local``."""
    reading = _Reading(config, Remarks(), is_alone=False)
    with ConfinedReader() as reader:
        for name, path, reading.origin in files:
            yield from reading.read_path(path, name=name, reader=reader)
    reading.tell(progress)


@dataclass
class _Reading:
    """Reads files and gathers what the run says about them. ``is_alone``: the source is a single file."""

    config: PipelineConfiguration
    remarks: Remarks
    is_alone: bool
    origin: Provenance | None = None
    _left_out: dict[str, list[SemillaError]] = field(default_factory=dict)
    _num_read: int = 0

    def __post_init__(self) -> None:
        if self.config.repair:
            require_repair()

    def read_path(
        self, path: Path, *, name: str, reader: ConfinedReader
    ) -> Iterator[PreparedDocument | LeftOutFile]:
        """Read a file; each piece of a large one becomes a text of its own."""
        pieces = read_pieces(path, name=name)
        for number in count(1):
            interrupts.check()
            try:
                data = next(pieces, None)
            except SemillaError as error:
                if self.is_alone:
                    raise
                yield self._leave_out(name, error)
                return
            if data is None:
                return
            for document in self.read(data, name=name, reader=reader):
                if number > 1 and isinstance(document, PreparedDocument):
                    document.title = f"{document.title}, part {number:,}"
                yield document

    def read(
        self, data: bytes, *, name: str, reader: ConfinedReader
    ) -> Iterator[PreparedDocument | LeftOutFile]:
        for found in read_file(data, make_options(self.config), name=name, reader=reader):
            if isinstance(found, LeftOut):
                self._refuse(found, name=name)
                yield self._leave_out(found.name, found.error)
                continue
            origin = self.origin and self.origin.model_copy(update={"format": found.format})
            try:
                document = prepare_file(found, self.config, remarks=self.remarks, origin=origin)
            except InvalidCorpusError as error:
                if self.is_alone and found.name == name:
                    raise
                yield self._leave_out(found.name, error)
            else:
                self._num_read += 1
                yield document

    def _refuse(self, found: LeftOut, *, name: str) -> None:
        """Raise the error of a file that must not be left out: the only one, or a text whose encoding can be given."""
        error = found.error
        if isinstance(error, UndecodableError):
            raise advise_encoding(error, self.config)
        if self.is_alone and found.name == name and not self._num_read:
            if found.reason == "package missing":
                raise DependencyError(error.message, next_command=error.next_command)
            raise error

    def _leave_out(self, path: str, error: SemillaError) -> LeftOutFile:
        reason = error.reason if isinstance(error, UnreadableError) else "unreadable"
        self._left_out.setdefault(reason, []).append(error)
        return LeftOutFile(path=path, reason=reason, detail=error.message)

    def tell(self, progress: Progress) -> None:
        """Say what was left out, a line for each reason. Raises the first error when nothing was read."""
        for reason, errors in self._left_out.items():
            if not self._num_read:
                raise errors[0]
            more = f", and {len(errors) - 1:,} more ({reason}; {names.CORPUS_MANIFEST} names them)"
            command = errors[0].next_command
            advice = f"; install them: {command}" if reason == "package missing" and command else ""
            progress(
                Warned(
                    f"{errors[0].message}: left out{more if len(errors) > 1 else ''}{advice}",
                    topic="invalid_corpus",
                )
            )
        self.remarks.tell(progress)
