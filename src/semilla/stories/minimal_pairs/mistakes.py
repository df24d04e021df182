"""One way to spoil a sentence: find a place, put something wrong there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

Replace = Callable[[re.Match[str]], "str | None"]


@dataclass(frozen=True)
class Mistake:
    """Turns what ``pattern`` finds into ``replace(match)``, unless that is None: there it would be no mistake."""

    pattern: re.Pattern[str]
    replace: Replace

    def make_twins(self, sentence: str) -> Iterator[str]:
        """Every sentence with this one mistake in one place."""
        for match in self.pattern.finditer(sentence):
            wrong = self.replace(match)
            if wrong is not None and wrong != match[0]:
                yield sentence[: match.start()] + wrong + sentence[match.end() :]


def expect(pattern: str, replace: Replace | str) -> Mistake:
    """Make a mistake of a pattern and of a function, or of a template with groups."""
    if isinstance(replace, str):
        template = replace
        return Mistake(re.compile(pattern), lambda match: match.expand(template))
    return Mistake(re.compile(pattern), replace)


def any_of(words: Collection[str]) -> str:
    """Write a pattern for one of ``words``, the longest first, with a group for what was found."""
    return (
        "(" + "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))) + ")"
    )
