"""Text that was encoded twice: UTF-8 that was read as cp1252 and written as UTF-8 again, such as ``Ã©`` for ``é``."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class DoubleEncoding:
    """How many characters of a text were encoded twice, and the first: as it is, and as it was."""

    count: int
    found: str
    meant: str


def _read_byte(byte: int) -> str:
    """What a program shows for a byte: cp1252, or the control code of Latin-1 where that has no character."""
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_BYTES = {character: byte for byte in range(0x80, 0x100) for character in {_read_byte(byte), chr(byte)}}
"""Character -> the byte that it was. Control codes count as well, because Latin-1 reads bytes so."""


def _list_characters(first: int, last: int) -> str:
    return "".join(character for character, byte in _BYTES.items() if first <= byte <= last)


_NEXT = f"[{_list_characters(0x80, 0xBF)}]"
_TWO = f"[{_list_characters(0xC4, 0xDF)}]{_NEXT}"
_MORE = f"[{_list_characters(0xE1, 0xEF)}]{_NEXT}{{2}}|[{_list_characters(0xF0, 0xF4)}]{_NEXT}{{3}}"
_LATIN = f"[ÂÃ]{_NEXT}"
_ENCODED_TWICE = re.compile(f"{_LATIN}|{_TWO}|{_MORE}")
_POSSIBLE = re.compile(f"[{_list_characters(0xC2, 0xF4)}]{_NEXT}")
"""The first two characters of any of these. A pattern that begins with one set of characters is searched for fast."""
_SURE = re.compile(f"(?<![A-ZÀ-Þ]){_LATIN}|{_MORE}|(?:{_TWO}){{3}}")
"""The last capital of a word with a quotation mark or a dash after it looks the same: ``MANHÃ»``, ``ESPAÑ—``."""


def find_double_encoding(text: str) -> DoubleEncoding | None:
    """Count the characters of a text that were encoded twice; None when none surely was."""
    if text.isascii() or not any(_SURE.match(text, pair.start()) for pair in _POSSIBLE.finditer(text)):
        return None
    places = [match[0] for match in _ENCODED_TWICE.finditer(text)]
    pairs = [(found, meant) for found in places if (meant := _decode(found))]
    return DoubleEncoding(len(pairs), *pairs[0]) if pairs else None


def _decode(found: str) -> str | None:
    try:
        return bytes(_BYTES[one] for one in found).decode("utf-8")
    except UnicodeDecodeError:
        return None
