"""Rich Text Format: the text of its paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from semilla.corpus.formats.extracted import Extracted, ReadOptions, UnreadableError

_CELL = re.compile(r"(?:\\par\s{0,4})?(\}{0,4})\s{0,4}\\(?:nest)?cell(?![a-z])")
"""The end of a cell, which becomes a tab; the paragraph inside ends with it."""
_BULLET = re.compile(r"^[\u2022\u00b7\uf0b7][ \t]+", re.M)
_NOTE = re.compile(r"\{(?:\\\*)?\s*\\footnote(?![a-z])")
_UNSHOWN = re.compile(r"\{(?:\\(?!deleted|v)[a-z]{1,32}-?\d{0,10} ?){0,30}\\(?:deleted|v)(?![a-z0-9])")
"""A group that was deleted while changes were tracked, or is hidden."""
_TITLE = re.compile(r"\{\\title ([^{}\\]{1,300})\}")


def read(data: bytes, options: ReadOptions, *, name: str) -> Iterator[Extracted]:
    """Read one document. Raises UnreadableError for damaged files."""
    from striprtf.striprtf import rtf_to_text  # noqa: PLC0415

    # RTF is ASCII with escapes. Bytes beyond ASCII are in the code page that the file declares, or cp1252.
    encoding = "cp1252" if options.encoding == "auto" else options.encoding
    source = data.decode("ascii", "replace") if data.isascii() else data.decode(encoding, "replace")
    source, _ = _cut_groups(_UNSHOWN, source)
    source = _CELL.sub(r"\1\\tab ", _move_notes(source))
    try:
        text = rtf_to_text(source, encoding=encoding, errors="replace")
    except Exception as error:
        raise UnreadableError(
            f"{name} is not a sound RTF document: {type(error).__name__}", reason="unreadable"
        ) from error
    title = _TITLE.search(source)
    yield Extracted(
        _BULLET.sub("- ", text).replace("\t\n", "\n"),
        title=title[1].strip() if title else None,
        encoding=encoding,
    )


def _move_notes(source: str) -> str:
    """Move footnotes to the end of the document, because the library leaves them out."""
    rest, notes = _cut_groups(_NOTE, source)
    if not notes:
        return source
    body, brace, end = rest.rpartition("}")
    return body + "".join(f"\\par {{{note}}}" for note in notes) + brace + end


def _cut_groups(head: re.Pattern[str], source: str) -> tuple[str, list[str]]:
    """Cut the groups that begin with ``head``; return the rest, and what is in them behind the head."""
    groups: list[str] = []
    kept: list[str] = []
    place = 0
    for match in head.finditer(source):
        if match.start() < place:
            continue
        end = _find_group_end(source, match.start())
        kept.append(source[place : match.start()])
        groups.append(source[match.end() : end - 1])
        place = end
    return "".join(kept) + source[place:], groups


def _find_group_end(source: str, start: int) -> int:
    """The place after the brace that closes the group which opens at ``start``."""
    depth = 0
    for match in re.compile(r"\\[\\{}]|[{}]").finditer(source, start):
        depth += (match[0] == "{") - (match[0] == "}")
        if not depth and match[0] == "}":
            return match.end()
    return len(source)
