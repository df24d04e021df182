"""Counts e-mail addresses and telephone numbers in a text: a model may repeat what it was trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
_DIGITS = re.compile(r"\d(?:[ .()-]{0,3}\d){8}")
"""Is in every telephone number that counts."""


def count_personal_data(text: str) -> dict[str, int]:
    """How many e-mail addresses and telephone numbers a text has, by kind; empty for none."""
    # Both are inside a line, and most lines have neither.
    addresses = sum(len(_ADDRESS.findall(line)) for line in _find_lines(text, re.compile("@")))
    found = (number for line in _find_lines(text, _DIGITS) for number in _TELEPHONE.findall(line))
    numbers = sum(sum(map(str.isdecimal, number)) >= _LEAST_DIGITS for number in found)
    counts = {"e-mail addresses": addresses, "telephone numbers": numbers}
    return {kind: count for kind, count in counts.items() if count}


def _find_lines(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """The lines that have a match of a pattern."""
    end = 0
    while (found := pattern.search(text, end)) is not None:
        start = text.rfind("\n", 0, found.start()) + 1
        end = text.find("\n", found.end())
        end = len(text) if end < 0 else end
        yield text[start:end]
