"""The words of a text and of a question, in the form in which they are compared."""

from __future__ import annotations

import re

STOP_WORDS = frozenset(
    """a about also although am an and any are as at be because been being both but by can cannot could
    did do does doing don either else even for from get gets getting give gives go goes had has have
    having he her here him his how i if in instead into is isn it its itself just let like many me might
    mine must my myself nor of on onto or our per please quite rather really say says see seem seems she
    should so such take takes tell that the their them then there these they thing this those though to
    upon us very via want wanted wants was way we were what when where which while who whom whose why
    will with would yet you your""".split()  # noqa: SIM905
)
"""Words that say nothing about the subject. Words such as "same", "never" and "again" can, and stay: they weigh little,
because many places have them."""
_ENDINGS = (
    ("ization", "iz"), ("isation", "iz"), ("ational", "at"), ("ations", "at"), ("ation", "at"), ("ising", "iz"),
    ("ised", "iz"), ("ises", "iz"), ("ise", "iz"), ("izing", "iz"), ("ized", "iz"), ("izes", "iz"), ("ize", "iz"),
    ("iest", "y"), ("ies", "y"), ("ied", "y"), ("ment", ""), ("ness", ""), ("ings", ""), ("ing", ""), ("edly", ""),
    ("ers", ""), ("ed", ""), ("er", ""), ("ly", ""), ("es", ""), ("s", ""), ("e", ""),
)  # fmt: skip
"""Ending -> what it becomes; the first that leaves three letters or more is taken, once."""
SAME_WORDS = {
    "email": "mail",
    "emails": "mail",
    "license": "licence",
    "delete": "remove",
    "deletes": "remove",
    "erase": "remove",
}
"""Words that the documentation writes otherwise."""
_WORD = re.compile(r"\w+(?:\.\w+)*")
_CAPITALS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def list_words(text: str) -> list[str]:
    """The words of a text in order, without endings and stop words; MemoryError is also found as "memory error"."""
    words = _WORD.findall(text.replace("_", " "))
    parts = [part for word in words for part in _split_name(word)]
    return [strip_ending(SAME_WORDS.get(part, part)) for part in parts if part not in STOP_WORDS]


def strip_ending(word: str) -> str:
    """A word without its ending: "decreasing" and "decreases" become the same. Short words and names stay."""
    for ending, replacement in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 3:
            stem = word.removesuffix(ending) + replacement
            return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "ls" else stem
    return word


def _split_name(word: str) -> list[str]:
    parts = _CAPITALS.split(word)
    return [word.lower()] if len(parts) == 1 else [word.lower(), *(part.lower() for part in parts)]
