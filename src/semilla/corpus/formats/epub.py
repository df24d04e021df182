"""EPUB: the chapters of a book in reading order, as one document. Its cover and its contents are not text."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError
from semilla.corpus.formats.html import read_bytes
from semilla.corpus.formats.packages import Package

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_PAGES = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}
_ENCRYPTION = "META-INF/encryption.xml"


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document. Raises UnreadableError for damaged and encrypted books."""
    package = Package(data, name=name)
    rootfile = package.parse("META-INF/container.xml").find(f".//{_CONTAINER}rootfile")
    if rootfile is None:
        raise package.complain("its container names no package")
    opf = str(rootfile.get("full-path"))
    chapters = _list_chapters(package.parse(opf), opf)
    _refuse_encrypted(package, chapters)
    parts, num_dropped = [], 0
    for chapter in chapters:
        try:
            page = read_bytes(package.read(chapter), options, name=f"{name}/{chapter}")
        except UnreadableError as error:
            if error.reason != "empty":
                raise
            continue
        parts.append(page.text)
        num_dropped += page.removed.get("navigation", 0)
    if not parts:
        raise UnreadableError(f"{name} is a book without text", reason="empty")
    removed = {"navigation": num_dropped} if num_dropped else {}
    yield package.describe("\n\n".join(parts), opf, removed=removed)


def _list_chapters(package: Any, opf: str) -> list[str]:
    """The pages of the spine, without the contents (EPUB 3.3, section 5.7) and what is not in reading order."""
    folder = posixpath.dirname(opf)
    items = {
        item.get("id"): item
        for item in package.iter(f"{_OPF}item")
        if "nav" not in (item.get("properties") or "").split() and item.get("media-type") in _PAGES
    }
    spine = (items.get(one.get("idref")) for one in package.iter(f"{_OPF}itemref"))
    paths = (
        posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        for item in spine
        if item is not None
    )
    return list(dict.fromkeys(paths))


def _refuse_encrypted(package: Package, chapters: list[str]) -> None:
    """Raise UnreadableError when chapters are encrypted; fonts often are, which does not matter."""
    if _ENCRYPTION not in package.members:
        return
    references = package.parse(_ENCRYPTION).iter("{http://www.w3.org/2001/04/xmlenc#}CipherReference")
    if {unquote(one.get("URI") or "") for one in references} & set(chapters):
        raise UnreadableError(f"{package.name} is encrypted: its chapters are under DRM", reason="encrypted")
