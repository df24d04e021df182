"""The formats that are read: their suffixes, their first bytes, and the packages they need."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from semilla.corpus.formats.detect import looks_like_html


@dataclass(frozen=True)
class Format:
    """One format. ``module`` has the reader; the readers of a packed format yield files instead of documents."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    packages: tuple[str, ...] = ()
    """Modules that the reader imports beside the standard library and the core's packages."""
    is_confined: bool = True
    """Whether it is read in a child process with limits."""
    is_light: bool = False
    """Whether a small file of it is read without the child, because its reader is pure Python without long loops."""
    is_packed: bool = False
    reads_large: Literal["", "cut", "stream", "path"] = ""
    """How a file that is larger than memory should hold is read: cut into pieces, row by row from a stream of UTF-8,
    or from its path. Empty: as a whole."""


_CODE = (
    ".py .pyi .js .mjs .ts .jsx .tsx .c .h .cc .cpp .hpp .cs .java .kt .go .rs .rb .php .pl .lua .swift .scala .hs .ml "
    ".r .jl .sh .bash .sql .css .scss .asm .clj .ex .erl .f90 .m .pas .ps1 .vb .zig .nim .dart"
)
PLAIN_TEXT = Format("text", (".txt", ".text"), "plain_text", is_confined=False, reads_large="cut")
MARKDOWN = Format("Markdown", (".md", ".markdown"), "markdown", is_light=True, reads_large="cut")
HTML = Format("HTML", (".html", ".htm", ".xhtml"), "html", ("selectolax",))
PDF = Format("PDF", (".pdf",), "pdf", ("pypdfium2",))
EPUB = Format("EPUB", (".epub",), "epub", ("selectolax", "defusedxml"))
WORD = Format("Word", (".docx", ".docm", ".dotx"), "word", ("defusedxml",))
OPENDOCUMENT = Format("OpenDocument", (".odt", ".ott"), "opendocument", ("defusedxml",))
RTF = Format("RTF", (".rtf",), "rtf", ("striprtf",))
JSON = Format("JSON", (".json",), "json_records", is_light=True)
MAILBOX = Format("mailbox", (".mbox", ".eml"), "mailbox", reads_large="cut")
PARQUET = Format("Parquet", (".parquet",), "parquet", ("pyarrow",), reads_large="path")
ZIP = Format("ZIP archive", (".zip",), "packed", is_packed=True)
TAR = Format("tar archive", (".tar", ".tgz", ".tzst"), "packed", is_packed=True)
GZIP = Format("gzip archive", (".gz",), "packed", is_packed=True)
CODE = Format("code", tuple(_CODE.split()), "source_code", is_confined=False)
ZSTANDARD = Format("Zstandard archive", (".zst",), "packed", ("zstandard",), is_packed=True)
SUBTITLES = Format("subtitles", (".srt", ".vtt"), "subtitles", is_confined=False)
CSV = Format("CSV", (".csv", ".tsv"), "delimited", is_light=True, reads_large="stream")
JSON_LINES = Format("JSON Lines", (".jsonl", ".ndjson"), "json_records", is_light=True, reads_large="stream")
FORMATS = (
    PLAIN_TEXT,
    MARKDOWN,
    HTML,
    EPUB,
    PDF,
    WORD,
    OPENDOCUMENT,
    RTF,
    SUBTITLES,
    CSV,
    JSON,
    JSON_LINES,
    PARQUET,
    MAILBOX,
    CODE,
    ZIP,
    TAR,
    GZIP,
    ZSTANDARD,
)
_BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}
SUFFIXES = frozenset(_BY_SUFFIX)
"""Suffixes of the files that are read from a folder or an archive."""
_SIGNATURES = {
    b"%PDF-": PDF,
    b"{\\rtf": RTF,
    b"PAR1": PARQUET,
    b"\x1f\x8b": GZIP,
    b"\x28\xb5\x2f\xfd": ZSTANDARD,
}
_INSIDE_ZIP = {
    "application/epub+zip": EPUB,
    "application/vnd.oasis.opendocument.text": OPENDOCUMENT,
    "application/vnd.oasis.opendocument.text-template": OPENDOCUMENT,
}


def has_known_suffix(name: str) -> bool:
    """Return whether a file of this name is read from a folder."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def may_be_large(name: str) -> bool:
    """Return whether a file of this name is read in pieces, as far as a name tells."""
    path = PurePosixPath(name)
    packed = path.suffix.lower() in {*GZIP.suffixes, *ZSTANDARD.suffixes}
    kind = _BY_SUFFIX.get(PurePosixPath(path.stem if packed else path).suffix.lower())
    return kind is not None and kind.reads_large != "" and not (packed and kind.reads_large == "path")


def is_code(name: str) -> bool:
    """Return whether a file of this name is source code."""
    return _BY_SUFFIX.get(PurePosixPath(name).suffix.lower()) is CODE


def may_be_page(path: str) -> bool:
    """Return whether an address that ends so may lead to a web page; ``book.txt`` and ``book.pdf`` may not."""
    return _BY_SUFFIX.get(PurePosixPath(path).suffix.lower(), HTML) is HTML


def advise_large(kind: Format) -> str:
    """What to do with a file of this format that is too large to be read as a whole."""
    if kind.is_packed:
        return "unpack it, and give what is inside"
    if kind is JSON:
        return "write it as JSON Lines, an object a line"
    return "divide it into several files, or save it as plain text"


def find_format(name: str, data: bytes) -> Format:
    """Find a file's format: by its first bytes where these decide, else by its suffix; else it is plain text."""
    named = _BY_SUFFIX.get(PurePosixPath(name).suffix.lower(), PLAIN_TEXT)
    for signature, known in _SIGNATURES.items():
        if data.startswith(signature):
            return TAR if known in {GZIP, ZSTANDARD} and named is TAR else known
    if data.startswith(b"PK\x03\x04"):
        return _look_inside(data)
    if data[257:262] == b"ustar":
        return TAR
    if named is PLAIN_TEXT and looks_like_html(data):
        return HTML
    return named


def _look_inside(data: bytes) -> Format:
    """Tell an EPUB, a Word document and an OpenDocument text from a ZIP archive of other files."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:
                with archive.open("mimetype") as file:
                    kind = file.read(100).decode("ascii", "replace").strip()
                return _INSIDE_ZIP.get(kind, ZIP)
            return WORD if "word/document.xml" in names else ZIP
    except Exception:  # zipfile raises many kinds of errors for damaged archives; the reader reports them
        return ZIP
