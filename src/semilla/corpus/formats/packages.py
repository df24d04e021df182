"""What EPUB, Word and OpenDocument files share: a ZIP archive of XML files, read within limits."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

from semilla.corpus.formats.extracted import MAX_FILE_BYTES, Extracted, UnreadableError, shorten_language

DC = "{http://purl.org/dc/elements/1.1/}"
"""Namespace of Dublin Core: title, creator, language."""

_HEAD_BYTES = 1 << 13
"""Namespaces are named at the start of an XML file."""


class Package:
    """An opened package. Every error is an UnreadableError with the file's name."""

    def __init__(self, data: bytes, *, name: str) -> None:
        self.name = name
        self._left_bytes = MAX_FILE_BYTES
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
            self.members = set(self._archive.namelist())
        except Exception as error:
            raise self.complain(str(error) or type(error).__name__) from error

    def complain(self, problem: str) -> UnreadableError:
        return UnreadableError(f"{self.name} is damaged: {problem}", reason="unreadable")

    def read(self, member: str) -> bytes:
        """Read one file of the package. All together may have ``MAX_FILE_BYTES``."""
        try:
            with self._archive.open(member) as file:
                data = file.read(self._left_bytes + 1)
        except KeyError:
            raise self.complain(f"it has no {member}") from None
        except RuntimeError as error:
            if "password" in str(error) or "encrypted" in str(error):
                raise UnreadableError(f"{self.name} is encrypted", reason="encrypted") from error
            raise self.complain(f"{member}: {error}") from error
        except Exception as error:
            raise self.complain(f"{member}: {str(error) or type(error).__name__}") from error
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise UnreadableError(
                f"{self.name} unpacks to more than {MAX_FILE_BYTES >> 20} MB", reason="too large"
            )
        return data

    def parse(self, member: str, *, strict: tuple[bytes, bytes] | None = None) -> Any:
        """Parse an XML file of the package. Entities of its own are refused, and no external file is read.

        ``strict`` is the name of a namespace in a stricter form of the format, and the one that it is read as.
        """
        from defusedxml import DefusedXmlException  # noqa: PLC0415
        from defusedxml.ElementTree import fromstring  # noqa: PLC0415

        try:
            data = self.read(member)
            if strict and strict[0] in data[:_HEAD_BYTES]:
                data = data.replace(*strict)
            return fromstring(data)
        except DefusedXmlException as error:
            raise UnreadableError(
                f"{self.name} defines XML entities, which documents do not need: refused", reason="unreadable"
            ) from error
        except (ParseError, ValueError, LookupError) as error:
            raise self.complain(f"{member} is not XML: {error}") from error

    def describe(self, text: str, member: str, *, removed: dict[str, int] | None = None) -> Extracted:
        """A document with the title, author and language of a file of metadata, where that has them."""
        facts = self._read_facts(member)
        return Extracted(
            text,
            title=facts.get("title"),
            author=facts.get("creator"),
            language=shorten_language(facts.get("language")),
            removed=removed or {},
        )

    def _read_facts(self, member: str) -> dict[str, str]:
        if member not in self.members:
            return {}
        found = self.parse(member)
        facts = {one: found.find(f".//{DC}{one}") for one in ("title", "creator", "language")}
        texts = {one: " ".join((node.text or "").split()) for one, node in facts.items() if node is not None}
        return {one: text for one, text in texts.items() if text}


def find_outer(root: Any, tag: str) -> Iterator[Any]:
    """Yield the elements of one kind below ``root``, but not those inside them: the rows of a table in its cell."""
    stack = list(reversed(root))
    while stack:
        node = stack.pop()
        if node.tag == tag:
            yield node
        else:
            stack += reversed(node)


def join_blocks(blocks: Iterable[tuple[bool, str]]) -> str:
    """Join paragraphs with blank lines between them. True marks one that stands together with one like it before."""
    pieces: list[str] = []
    was_close = False
    for is_close, block in blocks:
        if not block.strip() and not (is_close and was_close):
            continue
        if pieces:
            pieces.append("\n" if is_close and was_close else "\n\n")
        pieces.append(block)
        was_close = is_close
    return "".join(pieces)
