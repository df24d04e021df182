"""Counts e-mail addresses and telephone numbers in a text: a model may repeat what it was trained on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b")
_TELEPHONE = re.compile(
    r"""(?<![\w+.,:/=-])(?:
        \+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}\d{2} # +34 612 345 678 and +1 (555) 123-4567
      | \(\d{2,4}\)[ ]?\d{3,4}[ -]\d{3,4} # (555) 123-4567
      | \d{3}[-.]\d{3}[-.]\d{4} # 555-123-4567
      | [6-9]\d{2}[ ]\d{3}[ ]\d{3} # 612 345 678
      | [6-9]\d{2}[ ]\d{2}[ ]\d{2}[ ]\d{2} # 612 34 56 78
      | 0\d(?:[ ]\d{2}){4} # 01 23 45 67 89
    )(?![\w-]|[.,]\d)""",
    re.X,
)
_LEAST_DIGITS = 9
_REACH_BYTES = 60
"""From the first digit to the ninth, of four bytes at most, with three characters between two."""
_DIGIT_BYTES = bytes(
    byte in b"0123456789" or byte in b"\xd9\xdb\xdf\xe0\xe1\xea\xef\xf0" for byte in range(256)
)
"""Of UTF-8: the digits, and the first bytes of those of other scripts."""


def count_personal_data(text: str) -> dict[str, int]:
    """How many e-mail addresses and telephone numbers a text has, by kind; empty for none."""
    # Both are inside a line, and most lines have neither.
    data = text.encode()
    at_signs = [match.start() for match in re.finditer(b"@", data)]
    addresses = sum(len(_ADDRESS.findall(line)) for line in _find_lines(data, at_signs))
    found = (number for line in _find_lines(data, _find_digits(data)) for number in _TELEPHONE.findall(line))
    numbers = sum(sum(map(str.isdecimal, number)) >= _LEAST_DIGITS for number in found)
    counts = {"e-mail addresses": addresses, "telephone numbers": numbers}
    return {kind: count for kind, count in counts.items() if count}


def _find_digits(data: bytes) -> list[int]:
    """Where nine digits begin that are near enough for a telephone number."""
    places = np.flatnonzero(np.frombuffer(data.translate(_DIGIT_BYTES), np.bool_))
    ahead = _LEAST_DIGITS - 1
    is_near = places[ahead:] - places[:-ahead] < _REACH_BYTES
    found: list[int] = places[:-ahead][is_near].tolist()
    return found


def _find_lines(data: bytes, places: Iterable[int]) -> Iterator[str]:
    """The lines that these places, ascending, are in."""
    end = 0
    for place in places:
        if place >= end:
            start = data.rfind(b"\n", 0, place) + 1
            end = data.find(b"\n", place)
            end = len(data) if end < 0 else end
            yield data[start:end].decode()
