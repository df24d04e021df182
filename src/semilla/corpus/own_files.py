"""The user's own files: read one after another, each cleaned, or left out with its reason.

Much text is cleaned in several processes. What comes of it, and the order, are the same for any number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.cleaning.repair import require_repair
from semilla.corpus.duplicates import Duplicates
from semilla.corpus.fetching.downloads import Download
from semilla.corpus.formats.confined import ConfinedReader
from semilla.corpus.formats.extracted import UnreadableError
from semilla.corpus.formats.large import read_large
from semilla.corpus.formats.pieces import LARGE_FILE_BYTES
from semilla.corpus.formats.plain_text import UndecodableError
from semilla.corpus.formats.reading import FileText, LeftOut, read_file
from semilla.corpus.manifest import LeftOutFile, Provenance
from semilla.corpus.prepared import (
    PreparedDocument,
    advise_encoding,
    describe_download,
    make_options,
)
from semilla.corpus.preparer import Packed, make_preparer, pack_request, unpack_document
from semilla.corpus.remarks import PackedRemarks, Remarks
from semilla.corpus.sources import (
    STANDARD_INPUT,
    CorpusSource,
    describe_left_out,
    open_file,
    read_standard_input,
    read_text_file,
    read_whole,
    survey_texts,
)
from semilla.errors import DependencyError, SemillaError
from semilla.events import Note, Progress, Warned
from semilla.records import names
from semilla.system import interrupts
from semilla.system.pool import compute_in_order
from semilla.system.processor import count_cores

FILES_PER_NOTE = 1000
"""Reading a thousand small files takes a few seconds."""


def read_local(
    config: PipelineConfiguration, source: CorpusSource, *, duplicates: Duplicates, progress: Progress
) -> Iterator[PreparedDocument | LeftOutFile]:
    """Read the files of a local source. A file of a folder that gives no text is left out, and that is said.

    Raises InvalidCorpusError when nothing can be read, and UndecodableError for a text in an unknown encoding.
    """
    survey = survey_texts(source)
    files, passed_over = survey.files, survey.left_out
    yield from passed_over
    if passed_over:
        progress(Note(f"Left out of {source.value}: {describe_left_out(passed_over)}."))
    reading = _Reading(config, duplicates, is_alone=source.kind in {"file", "stdin"})

    def read(reader: ConfinedReader) -> Iterator[_Found]:
        if source.kind == "stdin":
            yield from reading.read(read_standard_input(), name=STANDARD_INPUT, reader=reader)
        for number, path in enumerate(files):
            if number and number % FILES_PER_NOTE == 0:
                progress(Note(f"{number:,} of {len(files):,} files are read."))
            yield from reading.read_path(path, name=str(path), reader=reader)

    with ConfinedReader() as reader:
        yield from reading.prepare(read(reader), size_bytes=sum(map(_measure_file, files)))
    reading.tell(progress)


def read_download(
    config: PipelineConfiguration,
    directory: Path,
    download: Download,
    *,
    source: CorpusSource,
    duplicates: Duplicates,
    progress: Progress,
) -> Iterator[PreparedDocument | LeftOutFile]:
    """Read a downloaded file of any format; its address tells the format as a file's name does."""
    data = read_text_file(directory / download.file_name)
    reading = _Reading(config, duplicates, is_alone=True)
    name = Path(urlsplit(source.shown).path).name or source.shown
    with ConfinedReader() as reader:
        found = reading.read(data, name=name, reader=reader, origin=describe_download(download))
        for document in reading.prepare(found, size_bytes=len(data)):
            if isinstance(document, PreparedDocument) and document.title == Path(name).stem:
                document.title = source.shown
            yield document
    reading.tell(progress)


def read_fetched(
    config: PipelineConfiguration,
    files: Iterable[tuple[str, Path, Provenance]],
    *,
    size_bytes: int,
    duplicates: Duplicates,
    progress: Progress,
) -> Iterator[PreparedDocument | LeftOutFile]:
    """Read files as they are fetched: the name, the place and the origin of each. Raises like ``read_local``."""
    reading = _Reading(config, duplicates, is_alone=False)
    with ConfinedReader() as reader:
        found = (
            one
            for name, path, origin in files
            for one in reading.read_path(path, name=name, reader=reader, origin=origin)
        )
        yield from reading.prepare(found, size_bytes=size_bytes)
    reading.tell(progress)


def _measure_file(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it says why
        return 0


@dataclass(frozen=True)
class _Found:
    """What reading a file gave: a text, or why it is left out. ``name`` is that of the file, ``part`` its piece."""

    found: FileText | LeftOut
    name: str
    part: int = 1
    origin: Provenance | None = None


@dataclass
class _Reading:
    """Reads files and gathers what the run says about them. ``is_alone``: the source is a single file."""

    config: PipelineConfiguration
    duplicates: Duplicates
    is_alone: bool
    _remarks: Remarks = field(default_factory=Remarks)
    _left_out: dict[str, list[SemillaError]] = field(default_factory=dict)
    _num_read: int = 0

    def __post_init__(self) -> None:
        if self.config.repair:
            require_repair()

    def read_path(
        self, path: Path, *, name: str, reader: ConfinedReader, origin: Provenance | None = None
    ) -> Iterator[_Found]:
        """Read a file; each piece of a large one becomes a text of its own."""
        options = make_options(self.config)
        try:
            with open_file(path) as file:
                pieces = read_large(file, path, options, name=name, reader=reader)
                for part, found in enumerate(pieces or (), start=1):
                    interrupts.check()
                    yield _Found(found, name, part, origin)
                data = read_whole(file, path) if pieces is None else None
        except SemillaError as error:
            if self.is_alone:
                raise
            yield _Found(LeftOut(name, error), name)
            return
        if data is not None:
            interrupts.check()
            yield from self.read(data, name=name, reader=reader, origin=origin)

    def read(
        self, data: bytes, *, name: str, reader: ConfinedReader, origin: Provenance | None = None
    ) -> Iterator[_Found]:
        for found in read_file(data, make_options(self.config), name=name, reader=reader):
            yield _Found(found, name, origin=origin)

    def prepare(
        self, found: Iterable[_Found], *, size_bytes: int
    ) -> Iterator[PreparedDocument | LeftOutFile]:
        """Clean what was found, in order; in several processes if it is as large as a file that is read in pieces."""
        waiting: deque[_Found] = deque()

        def list_requests() -> Iterator[Packed]:
            for one in found:
                if isinstance(one.found, LeftOut):
                    waiting.append(one)
                    continue
                waiting.append(replace(one, found=replace(one.found, documents=())))
                origin = one.origin and one.origin.model_copy(update={"format": one.found.format})
                yield pack_request(one.found, origin, compares_similar=self.duplicates.compares_similar)

        num_processes = count_cores() if size_bytes > LARGE_FILE_BYTES else 1
        for document, remarks in compute_in_order(
            make_preparer, self.config.model_dump_json(), list_requests(), num_processes=num_processes
        ):
            yield from self._list_left_out(waiting)
            yield self._finish(waiting.popleft(), document, remarks)
        yield from self._list_left_out(waiting)

    def _list_left_out(self, waiting: deque[_Found]) -> Iterator[LeftOutFile]:
        """Those before the next text."""
        while waiting and isinstance(found := waiting[0].found, LeftOut):
            self._refuse(found, name=waiting.popleft().name)
            yield self._leave_out(found.name, found.error)

    def _finish(
        self, one: _Found, packed: Packed | None, remarks: PackedRemarks
    ) -> PreparedDocument | LeftOutFile:
        self._remarks.merge(remarks)
        if packed is None:
            error = UnreadableError(f"{one.found.name} holds no text", reason="empty")
            if self.is_alone and one.found.name == one.name:
                raise error
            return self._leave_out(one.found.name, error)
        self._num_read += 1
        document = unpack_document(packed)
        if one.part > 1:
            document.title = f"{document.title}, part {one.part:,}"
        return document

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
        self._remarks.tell(progress)
