"""Names of text encodings: every codec of Python that decodes bytes to text, under all its names."""

from __future__ import annotations

import codecs
import re
from difflib import get_close_matches
from encodings.aliases import aliases

_NO_CHARACTER_SETS = {"unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined", "mbcs", "oem"}
"""Codecs that decode text but are notations, or whatever the machine uses."""
_OWN_NAMES = {"iso8859-1": "latin-1"}


def find_encoding(label: str) -> str | None:
    """Find Python's name of a text encoding; None for a name that Python does not know, or that is no encoding."""
    plain = label.strip().lower()
    joined = re.sub(r"[\W_]", "", plain)
    for name in (
        plain,
        joined,
        joined.removeprefix("iso"),
        plain.removeprefix("x-"),
        re.sub(r"-[ei]$", "", plain),
    ):
        try:
            found = codecs.lookup(name).name
            b"a".decode(found, "replace")  # refuses codecs that do not give text, such as hex and zip
        except (LookupError, ValueError):
            continue
        if found.replace("-", "_") not in _NO_CHARACTER_SETS:
            return _OWN_NAMES.get(found, found)
    return None


def check_encoding(label: str) -> str:
    """Return Python's name of an encoding, or ``auto``; raises ValueError for any other name."""
    if label == "auto":
        return label
    found = find_encoding(label)
    if found is None:
        near = get_close_matches(label.lower().replace("-", "_"), filter(find_encoding, aliases), n=1)
        raise ValueError(
            "must be auto or an encoding that Python knows, such as cp1252, cp1251 or shift_jis"
            + (f"; did you mean {aliases[near[0]]}?" if near else "")
        )
    return found
