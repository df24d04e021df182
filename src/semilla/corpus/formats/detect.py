"""Tells by its first bytes whether a file is something other than a text."""

from __future__ import annotations

import re

from semilla.corpus.formats.extracted import UnreadableError

HEAD_BYTES = 20_000
_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF-": "a PDF document",
    b"{\\rtf": "an RTF document",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Office document",
    b"PK\x03\x04": "a ZIP archive (also .docx, .epub, .pt)",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
}
TERMINAL_CODES = (
    r"\x1b(?:\[[0-?]{0,30}[ -/]{0,5}[@-~]|\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78MDEHc])"
    r"|[^\n]\x08"
)
"""Colours and titles of a terminal, and characters that a backspace takes back, as in the pages of ``man``."""
_TERMINAL_CODES = re.compile(TERMINAL_CODES.encode())
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\v\f\r"}) + b"\x7f"
_MAX_CONTROL_SHARE = 0.01
_MARKUP = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html)\b", re.I | re.S
)


def looks_like_html(data: bytes) -> bool:
    """Return whether a file starts as a web page does."""
    return _MARKUP.match(data[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")) is not None


def refuse_other_formats(
    data: bytes, *, name: str, may_hold_controls: bool = False, may_be_markup: bool = False
) -> None:
    """Raise UnreadableError for files that are empty, binary, HTML or of another known format.

    ``may_hold_controls`` is for encodings that use control codes, such as UTF-16.
    """
    if not data.strip(b" \t\r\n\f\v\0\xef\xbb\xbf"):
        raise UnreadableError(f"{name} is empty", reason="empty")
    advice = "not a text file; convert it to plain text first"
    for signature, kind in _SIGNATURES.items():
        if data.startswith(signature):
            raise UnreadableError(f"{name} is {kind}, {advice}", reason="binary")
    if not may_be_markup and looks_like_html(data):
        raise UnreadableError(f"{name} is an HTML page, {advice}", reason="unknown format")
    if may_hold_controls or data.startswith(_WIDE_BOMS):
        return
    num_controls = _count_controls(data)
    if num_controls > _MAX_CONTROL_SHARE * len(data):
        num_controls = _count_controls(_TERMINAL_CODES.sub(b"", data))
    if num_controls > _MAX_CONTROL_SHARE * len(data):
        raise UnreadableError(
            f"{name} is a binary file: {num_controls:,} of its {len(data):,} bytes are control codes; "
            "give a text file",
            reason="binary",
        )


def _count_controls(data: bytes) -> int:
    return len(data) - len(data.translate(None, _CONTROLS))
