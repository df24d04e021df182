"""A grammar mistake: where in a sentence it can be made, and what replaces the words there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

Replace = Callable[[re.Match[str]], "str | None"]


@dataclass(frozen=True)
class Mistake:
    """Replaces a match of ``pattern`` by ``replace(match)``; None means that it would be no mistake there."""

    pattern: re.Pattern[str]
    replace: Replace

    def make_twins(self, sentence: str) -> Iterator[str]:
        """Every version of the sentence that has this mistake in one place."""
        for match in self.pattern.finditer(sentence):
            wrong = self.replace(match)
            if wrong is not None and wrong != match[0]:
                yield sentence[: match.start()] + wrong + sentence[match.end() :]


def make_mistake(pattern: str, replace: Replace | str | Mapping[str, str]) -> Mistake:
    """A mistake made by a function, by a template for the match, or by a mapping that replaces the first group."""
    compiled = re.compile(pattern)
    if isinstance(replace, str):
        template = replace
        return Mistake(compiled, lambda match: match.expand(template))
    if isinstance(replace, Mapping):
        others = replace
        return Mistake(compiled, lambda match: replace_group(match, 1, others[match[1]]))
    return Mistake(compiled, replace)


def replace_group(match: re.Match[str], group: int, text: str) -> str:
    """The matched text with ``text`` in place of a group."""
    start, end = (place - match.start() for place in match.span(group))
    return match[0][:start] + text + match[0][end:]


def any_of(words: Collection[str]) -> str:
    """A pattern, without a group, that matches one of ``words``, the longest first."""
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return "(?:" + "|".join(map(re.escape, ordered)) + ")"
